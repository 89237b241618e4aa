package main

import (
	"context"
	"io"
	"sync"
	"time"

	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/metadata"
)

// result is what came of one case; what it should have been is known by whoever reads it.
type result struct {
	Registry string         `json:"registry"`
	Broker   string         `json:"broker"`
	Type     string         `json:"type"`
	Case     string         `json:"case"`
	Got      []string       `json:"got"`
	Error    *merrors.Error `json:"error"`
	Ms       int64          `json:"ms"`
}

// callAll runs every case at every place with every content type, side by side.
func callAll(s settings) error {
	var all sync.WaitGroup
	for _, p := range s.places {
		r := s.newRegistry(p)
		one := newClient(client.Selector(newSelector(r)), client.Registry(r), client.Broker(s.newBroker(p, r)))
		for _, contentType := range contentTypes {
			c := &caller{one, s.name("js", p), contentType}
			about := result{Registry: p.registry, Broker: p.broker, Type: contentType}
			all.Add(1)
			go func() {
				defer all.Done()
				c.run(about)
			}()
		}
	}
	all.Wait()
	return nil
}

type caller struct {
	client      client.Client
	service     string
	contentType string
}

func (c *caller) run(about result) {
	ctx := context.Background()
	report := func(name string, do func() ([]string, error)) {
		about, start := about, time.Now()
		got, err := do()
		about.Case, about.Got, about.Ms = name, got, time.Since(start).Milliseconds()
		if err != nil {
			about.Error = merrors.Parse(err.Error())
		}
		say(about)
	}
	report("event", func() ([]string, error) { return nil, c.publish(ctx) })
	if about.Broker != "http" {
		return
	}
	report("unary", func() ([]string, error) { return c.call(ctx, "Say.Hello", "Jörg <&>") })
	report("error", func() ([]string, error) { return c.call(ctx, "Say.Fail", "name") })
	report("metadata", func() ([]string, error) {
		return c.call(metadata.NewContext(ctx, metadata.Metadata{"X-Tenant": "acme 42"}), "Say.Meta", "")
	})
	report("left", func() ([]string, error) {
		return c.call(ctx, "Say.Left", "", client.WithRequestTimeout(4*time.Second))
	})
	report("deadline", func() ([]string, error) {
		return c.call(ctx, "Say.Wait", "", client.WithRequestTimeout(300*time.Millisecond))
	})
	report("server stream", func() ([]string, error) { return c.count(ctx) })
	report("two-way stream", func() ([]string, error) { return c.echo(ctx, "a", "b", "c") })
}

// publish tries again where nobody was found: a subscriber may answer late.
func (c *caller) publish(ctx context.Context) (err error) {
	contentType := client.WithMessageContentType(c.contentType)
	message := c.client.NewMessage(c.service, &Message{Name: c.contentType}, contentType)
	for i := 0; i < 5; i++ {
		if err = c.client.Publish(ctx, message); err == nil {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return err
}

func (c *caller) request(endpoint, name string, opts ...client.RequestOption) client.Request {
	opts = append(opts, client.WithContentType(c.contentType))
	return c.client.NewRequest(c.service, endpoint, &Message{Name: name}, opts...)
}

func (c *caller) call(ctx context.Context, endpoint, name string, opts ...client.CallOption) ([]string, error) {
	var rsp Message
	opts = append([]client.CallOption{client.WithRetries(0), client.WithRequestTimeout(4 * time.Second)}, opts...)
	if err := c.client.Call(ctx, c.request(endpoint, name), &rsp, opts...); err != nil {
		return nil, err
	}
	return []string{rsp.Name}, nil
}

func (c *caller) open(ctx context.Context, endpoint string) (client.Stream, error) {
	return c.client.Stream(ctx, c.request(endpoint, "", client.StreamingRequest()), client.WithRetries(0))
}

func (c *caller) count(ctx context.Context) (got []string, err error) {
	stream, err := c.open(ctx, "Say.Count")
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if err := stream.Send(&Message{Name: "5"}); err != nil {
		return nil, err
	}
	for {
		var rsp Message
		if err := stream.Recv(&rsp); err == io.EOF {
			return got, nil
		} else if err != nil {
			return got, err
		}
		got = append(got, rsp.Name)
	}
}

func (c *caller) echo(ctx context.Context, names ...string) (got []string, err error) {
	stream, err := c.open(ctx, "Say.Echo")
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for _, name := range names {
		if err := stream.Send(&Message{Name: name}); err != nil {
			return got, err
		}
		var rsp Message
		if err := stream.Recv(&rsp); err != nil {
			return got, err
		}
		got = append(got, rsp.Name)
	}
	return got, nil
}
