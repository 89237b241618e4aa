package main

import (
	"github.com/micro/go-micro/v2/broker"
	"github.com/micro/go-micro/v2/broker/http"
	bnats "github.com/micro/go-micro/v2/broker/nats"
	"github.com/micro/go-micro/v2/client/selector"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	"github.com/micro/go-micro/v2/registry/mdns"
	rnats "github.com/micro/go-plugins/registry/nats/v2"
)

const version = "v2"

// newSelector makes one of a client's own: otherwise all clients of a process share one, and so the registry of the last.
func newSelector(r registry.Registry) selector.Selector {
	return selector.NewSelector(selector.Registry(r))
}

func newRegistry(name, address string) registry.Registry {
	switch name {
	case "etcd":
		return etcd.NewRegistry(registry.Addrs(address))
	case "nats":
		return rnats.NewRegistry(registry.Addrs(address))
	default:
		return mdns.NewRegistry()
	}
}

func newBroker(name, address string, r registry.Registry) broker.Broker {
	if name == "nats" {
		return bnats.NewBroker(broker.Addrs(address))
	}
	return http.NewBroker(broker.Registry(r))
}
