package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// A program of a bare broker runs as it is: it neither reports nor takes commands. A relay stands
// before it.
type program struct{ command, environment []string }

// startBare starts the programs of a bare broker; the last is the server. The server is ready when
// it answers a client.
func (d *bed) startBare(ctx context.Context) error {
	programs, err := d.commands.bare(d.inner, d.directory)
	if err != nil {
		return err
	}
	for _, one := range programs {
		p := &process{
			name: d.name, ledger: d.ledger, log: d.log, lifetime: d.lifetime, fail: d.fail, bare: true, understand: d.commands.understand,
			opens: d.commands.opens, opened: make(chan struct{}),
		}
		if _, err := p.started(ctx, one.command, one.environment...); err != nil {
			return err
		}
		if d.server != nil {
			d.beside = append(d.beside, d.server)
		}
		d.server = p
	}
	d.version = d.commands.version
	if err := d.awaitAnswer(ctx); err != nil {
		return err
	}
	d.relay.let(true)
	return nil
}

// bareLimit bounds the start of a bare broker's programs on a busy machine.
const bareLimit = 2 * time.Minute

// awaitAnswer asks the broker for AMQP until it speaks it. If the broker says when it is ready,
// awaitAnswer waits for that first.
func (d *bed) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bareLimit, fmt.Errorf("%s did not speak AMQP within %v", d.name, bareLimit))
	defer cancel()
	if d.commands.opens != nil {
		select {
		case <-d.server.opened:
		case <-d.server.ended:
			return d.server.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if speaksAMQP(ctx, net.JoinHostPort("127.0.0.1", d.inner)) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-d.server.ended:
			return d.server.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func speaksAMQP(ctx context.Context, address string) bool {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(nc, "AMQP\x03\x01\x00\x00"); err != nil {
		return false
	}
	answer := make([]byte, 4)
	_, err = io.ReadFull(nc, answer)
	return err == nil && string(answer) == "AMQP"
}
