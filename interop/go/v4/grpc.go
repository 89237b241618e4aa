//go:build grpc

package main

import (
	cgrpc "github.com/go-micro/plugins/v4/client/grpc"
	sgrpc "github.com/go-micro/plugins/v4/server/grpc"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
)

const protocol = "grpc"

func newServer(opts ...server.Option) server.Server { return sgrpc.NewServer(opts...) }

func newClient(opts ...client.Option) client.Client { return cgrpc.NewClient(opts...) }
