package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"go-micro.dev/v5/server"
)

// serve runs a server for each protocol at each place.
func serve(s settings) error {
	for _, p := range s.places {
		for _, protocol := range protocols {
			one, err := start(s, p, protocol)
			if err != nil {
				return fmt.Errorf("%s at %s: %w", protocol, p, err)
			}
			defer one.Stop()
		}
	}
	say(map[string]bool{"ready": true})
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

func start(s settings, p place, protocol string) (server.Server, error) {
	r := s.newRegistry(p)
	name := fmt.Sprintf("%s-%s-%s", s.tag, version, protocol)
	if p.broker != "http" {
		// Two nodes of one name in one registry are one service.
		name += "-" + p.broker
	}
	one := newServer(
		protocol,
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
	topic := s.topic(version, protocol, p)
	heard := func(_ context.Context, message *Message) error {
		say(map[string]string{"heard": topic, "name": message.Name})
		return nil
	}
	if err := one.Subscribe(one.NewSubscriber(topic, heard)); err != nil {
		return nil, err
	}
	return one, one.Start()
}
