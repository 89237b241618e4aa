//go:build grpc

package main

import (
	"github.com/micro/go-micro/v2/client"
	cgrpc "github.com/micro/go-micro/v2/client/grpc"
	"github.com/micro/go-micro/v2/server"
	sgrpc "github.com/micro/go-micro/v2/server/grpc"
)

const protocol = "grpc"

func newServer(opts ...server.Option) server.Server { return sgrpc.NewServer(opts...) }

func newClient(opts ...client.Option) client.Client { return cgrpc.NewClient(opts...) }
