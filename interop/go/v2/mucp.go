//go:build !grpc

package main

import (
	"github.com/micro/go-micro/v2/client"
	cmucp "github.com/micro/go-micro/v2/client/mucp"
	"github.com/micro/go-micro/v2/server"
	smucp "github.com/micro/go-micro/v2/server/mucp"
)

const protocol = "mucp"

func newServer(opts ...server.Option) server.Server { return smucp.NewServer(opts...) }

func newClient(opts ...client.Option) client.Client { return cmucp.NewClient(opts...) }
