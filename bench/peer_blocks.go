package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// blocksInFlight may be sent and not yet acknowledged: as many as eight partitions with a batch each.
const blocksInFlight = 8

// A blockProducer writes the same ready-made block again and again over one connection: what the machine can do at best.
type blockProducer struct {
	conn   net.Conn
	pieces [][]byte // of a block; each is written at once
	events int      // of a block
}

func openBlocks(ctx context.Context, j *job) (producer, error) {
	conn, err := dial(ctx, j)
	if err != nil {
		return nil, err
	}
	p := &blockProducer{conn: conn, events: eventsPerBlock(j.Scenario.Size)}
	l := newLoad(j.Scenario)
	if j.Scenario.Peer == rawFrames {
		p.pieces = frames(l, p.events)
		return p, nil
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
	// Ends when free is closed and every block is acknowledged, or with the connection; awaited below.
	go func() {
		var answer [1]byte
		for range free {
			if _, err := io.ReadFull(p.conn, answer[:]); err != nil {
				acknowledged <- err
				return
			}
		}
		acknowledged <- nil
	}()
	for !l.stop.Load() {
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

// The parts of AMQP 1.0 that a transfer frame takes (part 2: transport, 2.3 and 2.7.5; part 1: types).
const (
	amqpTrue, amqpFalse = 0x41, 0x42
	frameLimit          = 65_536
	moreOffset          = 8 + 3 + 2 + 1 + 2 + 5 + 3 + 5 + 1 // of the field "more" in frameHeader
)

// frameHeader is a transfer's frame up to its payload: size, then the performative with handle, delivery-id, delivery-tag, message-format,
// settled and more. Sizes and more are filled in.
var frameHeader = []byte{
	0, 0, 0, 0, 2, 0, 0, 1, // size, data offset, type AMQP, channel
	0x00, 0x53, 0x14, // transfer
	0xc0, 20, 6, 0x52, 0, // a list of six: handle
	0x70, 0, 0, 0, 0, // delivery-id
	0xa0, 1, 0, // delivery-tag
	0x70, 0x80, 0x01, 0x37, 0x00, // message-format: a batch of Event Hubs
	amqpFalse, amqpFalse, // settled, more
}

// frames are the transfer frames of one batch of so many events.
func frames(l *load, events int) (pieces [][]byte) {
	var batch []byte
	for n := range events {
		batch = appendDataSection(batch, appendDataSection(nil, l.event(n).body))
	}
	for len(batch) > 0 {
		n := min(len(batch), frameLimit-len(frameHeader))
		frame := append(append([]byte(nil), frameHeader...), batch[:n]...)
		binary.BigEndian.PutUint32(frame, uint32(len(frame)))
		if batch = batch[n:]; len(batch) > 0 {
			frame[moreOffset] = amqpTrue
		}
		pieces = append(pieces, frame)
	}
	return pieces
}

// appendDataSection appends an AMQP data section (part 3: messaging, 3.2.6).
func appendDataSection(dst, content []byte) []byte {
	dst = append(dst, 0x00, 0x53, 0x75)
	if len(content) < 256 {
		dst = append(dst, 0xa0, byte(len(content)))
	} else {
		dst = binary.BigEndian.AppendUint32(append(dst, 0xb0), uint32(len(content)))
	}
	return append(dst, content...)
}
