//go:build !grpc

package main

import (
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
)

const protocol = "mucp"

func newServer(opts ...server.Option) server.Server { return server.NewServer(opts...) }

func newClient(opts ...client.Option) client.Client { return client.NewClient(opts...) }
