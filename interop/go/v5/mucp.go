//go:build !grpc

package main

import (
	"go-micro.dev/v5/client"
	"go-micro.dev/v5/server"
)

const protocol = "mucp"

func newServer(opts ...server.Option) server.Server { return server.NewRPCServer(opts...) }

func newClient(opts ...client.Option) client.Client { return client.NewClient(opts...) }
