package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"go-micro.dev/v5/server"
)

// serve runs a server at each place.
func serve(s settings) error {
	for _, p := range s.places {
		one, err := start(s, p)
		if err != nil {
			// Those that can be had are served: who calls the others sees that they are not there.
			fmt.Fprintf(os.Stderr, "%s: %v\n", p, err)
			continue
		}
		defer one.Stop()
	}
	say(map[string]bool{"ready": true})
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

func start(s settings, p place) (server.Server, error) {
	r := s.newRegistry(p)
	name := s.name(version, p)
	one := newServer(
		server.Name(name),
		server.Address("127.0.0.1:0"),
		server.Registry(r),
		server.Broker(s.newBroker(p, r)),
		server.RegisterTTL(30*time.Second),
		server.RegisterInterval(10*time.Second),
	)
	if err := one.Handle(one.NewHandler(new(Say))); err != nil {
		return nil, err
	}
	heard := func(_ context.Context, message *Message) error {
		say(map[string]string{"heard": name, "name": message.Name})
		return nil
	}
	if err := one.Subscribe(one.NewSubscriber(name, heard)); err != nil {
		return nil, err
	}
	return one, one.Start()
}
