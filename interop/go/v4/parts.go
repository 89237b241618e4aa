package main

import (
	bnats "github.com/go-micro/plugins/v4/broker/nats"
	cgrpc "github.com/go-micro/plugins/v4/client/grpc"
	"github.com/go-micro/plugins/v4/registry/etcd"
	rnats "github.com/go-micro/plugins/v4/registry/nats"
	sgrpc "github.com/go-micro/plugins/v4/server/grpc"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
)

const version = "v4"

func newServer(protocol string, opts ...server.Option) server.Server {
	if protocol == "grpc" {
		return sgrpc.NewServer(opts...)
	}
	return server.NewServer(opts...)
}

func newClient(protocol string, opts ...client.Option) client.Client {
	if protocol == "grpc" {
		return cgrpc.NewClient(opts...)
	}
	return client.NewClient(opts...)
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
