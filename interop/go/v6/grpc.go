//go:build grpc

package main

import (
	"go-micro.dev/v6/client"
	cgrpc "go-micro.dev/v6/client/grpc"
	"go-micro.dev/v6/server"
	sgrpc "go-micro.dev/v6/server/grpc"
)

const protocol = "grpc"

func newServer(opts ...server.Option) server.Server { return sgrpc.NewServer(opts...) }

func newClient(opts ...client.Option) client.Client { return cgrpc.NewClient(opts...) }
