package main

import (
	"github.com/micro/go-micro/v2/broker"
	"github.com/micro/go-micro/v2/broker/http"
	bnats "github.com/micro/go-micro/v2/broker/nats"
	"github.com/micro/go-micro/v2/client"
	cgrpc "github.com/micro/go-micro/v2/client/grpc"
	cmucp "github.com/micro/go-micro/v2/client/mucp"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	"github.com/micro/go-micro/v2/registry/mdns"
	"github.com/micro/go-micro/v2/server"
	sgrpc "github.com/micro/go-micro/v2/server/grpc"
	smucp "github.com/micro/go-micro/v2/server/mucp"
	rnats "github.com/micro/go-plugins/registry/nats/v2"
)

const version = "v2"

func newServer(protocol string, opts ...server.Option) server.Server {
	if protocol == "grpc" {
		return sgrpc.NewServer(opts...)
	}
	return smucp.NewServer(opts...)
}

func newClient(protocol string, opts ...client.Option) client.Client {
	if protocol == "grpc" {
		return cgrpc.NewClient(opts...)
	}
	return cmucp.NewClient(opts...)
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
