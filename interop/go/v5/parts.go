package main

import (
	"go-micro.dev/v5/broker"
	bnats "go-micro.dev/v5/broker/nats"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/registry/etcd"
	rnats "go-micro.dev/v5/registry/nats"
	"go-micro.dev/v5/selector"
)

const version = "v5"

// newSelector makes one of a client's own: otherwise all clients of a process share one, and so the registry of the last.
func newSelector(r registry.Registry) selector.Selector {
	return selector.NewSelector(selector.Registry(r))
}

func newRegistry(name, address string) registry.Registry {
	switch name {
	case "etcd":
		return etcd.NewEtcdRegistry(registry.Addrs(address))
	case "nats":
		return rnats.NewNatsRegistry(registry.Addrs(address))
	default:
		return registry.NewMDNSRegistry()
	}
}

func newBroker(name, address string, r registry.Registry) broker.Broker {
	if name == "nats" {
		return bnats.NewNatsBroker(broker.Addrs(address))
	}
	return broker.NewHttpBroker(broker.Registry(r))
}
