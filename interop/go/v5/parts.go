package main

import (
	"go-micro.dev/v5/broker"
	bnats "go-micro.dev/v5/broker/nats"
	"go-micro.dev/v5/client"
	cgrpc "go-micro.dev/v5/client/grpc"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/registry/etcd"
	rnats "go-micro.dev/v5/registry/nats"
	"go-micro.dev/v5/server"
	sgrpc "go-micro.dev/v5/server/grpc"
)

const version = "v5"

func newServer(protocol string, opts ...server.Option) server.Server {
	if protocol == "grpc" {
		return sgrpc.NewServer(opts...)
	}
	return server.NewRPCServer(opts...)
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
