package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
)

// blocksInFlight bounds the unacknowledged blocks: like eight partitions with a batch each.
const blocksInFlight = 8

// A blockProducer writes the same ready-made block again and again over one connection. This is the
// best that the machine can do.
type blockProducer struct {
	conn         net.Conn
	pieces       [][]byte       // of a block; each is written at once
	events       int            // of a block
	number       func(n uint32) // numbers the pieces for the n-th block; nil: without numbers
	blocks       uint32         // sent blocks
	acknowledged func() error   // waits for one more acknowledgement
}

func openBlocks(ctx context.Context, j *job) (producer, error) {
	conn, err := dial(ctx, j)
	if err != nil {
		return nil, err
	}
	p := &blockProducer{conn: conn, events: eventsPerBlock(j.Scenario.Size)}
	l := newLoad(j.Scenario)
	var answer [1]byte
	p.acknowledged = func() error {
		_, err := io.ReadFull(conn, answer[:])
		return err
	}
	var block []byte
	for n := range p.events {
		block = append(block, l.event(n).body...)
	}
	p.pieces = [][]byte{block}
	return p, nil
}

// dial connects to the server, with TLS if the scenario wants it.
func dial(ctx context.Context, j *job) (net.Conn, error) {
	config, err := j.tlsConfig()
	if err != nil {
		return nil, err
	}
	if config != nil {
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", j.Server.Addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", j.Server.Addr)
}

func (p *blockProducer) produce(_ context.Context, l *load) error {
	free := make(chan struct{}, blocksInFlight)
	acknowledged := make(chan error, 1)
	// Ends when free is closed and every block is acknowledged, or with the connection. Awaited
	// below.
	go func() {
		for range free {
			if err := p.acknowledged(); err != nil {
				acknowledged <- err
				return
			}
		}
		acknowledged <- nil
	}()
	for !l.stop.Load() {
		if p.number != nil {
			p.number(p.blocks)
		}
		p.blocks++
		for _, piece := range p.pieces {
			if _, err := p.conn.Write(piece); err != nil {
				return fmt.Errorf("writing a block: %w", err)
			}
		}
		select {
		case free <- struct{}{}:
		case err := <-acknowledged:
			return fmt.Errorf("waiting for acknowledgements: %w", err)
		}
		l.sent.Add(int64(p.events))
		l.bytes.Add(int64(p.events * l.scenario.Size))
	}
	close(free)
	return <-acknowledged
}

func (p *blockProducer) close(context.Context) error { return p.conn.Close() }
