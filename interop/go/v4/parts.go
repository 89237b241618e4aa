package main

import (
	bnats "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/go-micro/plugins/v4/registry/etcd"
	rnats "github.com/go-micro/plugins/v4/registry/nats"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
)

const version = "v4"

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
		return registry.NewRegistry()
	}
}

func newBroker(name, address string, r registry.Registry) broker.Broker {
	if name == "nats" {
		return bnats.NewBroker(broker.Addrs(address))
	}
	return broker.NewBroker(broker.Registry(r))
}
