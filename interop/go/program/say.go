package main

import (
	"context"
	"io"
	"strconv"
	"time"

	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/server"
)

// Say is what is called; the other side of the run has the same.
type Say struct{}

func (*Say) Hello(_ context.Context, req, rsp *Message) error {
	rsp.Name = "Hello " + req.Name
	return nil
}

func (*Say) Fail(_ context.Context, req, _ *Message) error {
	return merrors.BadRequest("greeter", "bad %s", req.Name)
}

func (*Say) Meta(ctx context.Context, _, rsp *Message) error {
	name, found := metadata.Get(ctx, "X-Tenant")
	if !found {
		// Since v6 a handler behind gRPC sees the names as gRPC writes them.
		name, _ = metadata.Get(ctx, "x-tenant")
	}
	rsp.Name = name
	return nil
}

// Left says how many milliseconds are left of the deadline.
func (*Say) Left(ctx context.Context, _, rsp *Message) error {
	if deadline, ok := ctx.Deadline(); ok {
		rsp.Name = strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)
	}
	return nil
}

func (*Say) Wait(ctx context.Context, _, _ *Message) error {
	select {
	case <-ctx.Done():
		return merrors.Timeout("greeter", "gave up")
	case <-time.After(20 * time.Second):
		return nil
	}
}

// send gives each message time to leave: over mucp those that do not share one buffer, and all become the last.
func send(stream server.Stream, message *Message) error {
	defer time.Sleep(50 * time.Millisecond)
	return stream.Send(message)
}

// Count sends as many messages as the first one's name says.
func (*Say) Count(_ context.Context, stream server.Stream) error {
	var req Message
	if err := stream.Recv(&req); err != nil {
		return err
	}
	to, _ := strconv.Atoi(req.Name)
	for i := 1; i <= to; i++ {
		if err := send(stream, &Message{Name: strconv.Itoa(i)}); err != nil {
			return err
		}
	}
	return nil
}

// Echo sends every message back.
func (*Say) Echo(_ context.Context, stream server.Stream) error {
	for {
		var req Message
		if err := stream.Recv(&req); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := send(stream, &req); err != nil {
			return err
		}
	}
}
