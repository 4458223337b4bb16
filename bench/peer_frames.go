package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// transferHead is a transfer frame before its payload: the size, then the performative with handle,
// delivery-id, delivery-tag, message-format, settled and more. Size, delivery-id and more are
// filled in.
var transferHead = []byte{
	0, 0, 0, 0, 2, 0, 0, 0, // size, data offset, type AMQP, channel
	0x00, 0x53, codeTransfer,
	0xc0, 18, 6, 0x52, 0, // a list of six: handle
	0x70, 0, 0, 0, 0, // delivery-id
	0xa0, 1, 0, // delivery-tag
	0x70, 0x80, 0x01, 0x37, 0x00, // message-format: a batch of Event Hubs
	0x42, 0x42, // settled, more
}

const (
	deliveryAt = 8 + 3 + 2 + 1 + 2 + 1
	moreAt     = deliveryAt + 4 + 3 + 5 + 1
)

// openFrames opens one link by hand, for ready-made frames. This is the cost of only writing AMQP.
func openFrames(ctx context.Context, j *job) (producer, error) {
	conn, err := dial(ctx, j)
	if err != nil {
		return nil, err
	}
	input := bufio.NewReaderSize(conn, frameLimit)
	if err := attachByHand(conn, input); err != nil {
		return nil, fmt.Errorf("opening a link by hand: %w", err)
	}
	p := &blockProducer{conn: conn, events: eventsPerBlock(j.Scenario.Size)}
	p.pieces = frames(newLoad(j.Scenario), p.events)
	p.number = func(n uint32) {
		for _, piece := range p.pieces {
			binary.BigEndian.PutUint32(piece[deliveryAt:], n)
		}
	}
	p.acknowledged = func() error { return await(input, codeDisposition) }
	return p, nil
}

// attachByHand opens connection, session and link with one write, and waits for credit.
func attachByHand(conn net.Conn, input *bufio.Reader) error {
	text := []byte(headerAMQP)
	text = appendFrame(text, frameAMQP, 0, codeOpen, nil, encodedString("frames"), encodedString("localhost"), encodedUint(frameLimit))
	text = appendFrame(text, frameAMQP, 0, codeBegin, nil, nil, encodedUint(0), encodedUint(openWindow), encodedUint(openWindow))
	text = appendFrame(text, frameAMQP, 0, codeAttach, nil, encodedString("frames"), encodedUint(0), encodedFalse, nil, nil,
		describedList(nil, codeSource), describedList(nil, codeTarget, encodedString(hubName)), nil, nil, encodedUint(0))
	if _, err := conn.Write(text); err != nil {
		return err
	}
	header := make([]byte, len(headerAMQP))
	if _, err := io.ReadFull(input, header); err != nil {
		return err
	}
	if string(header) != headerAMQP {
		return fmt.Errorf("%w: the server begins with %q", errAMQP, header)
	}
	return await(input, codeFlow)
}

// await reads frames until one with the wanted descriptor.
func await(input *bufio.Reader, wanted byte) error {
	for {
		head, err := input.Peek(frameHead)
		if err != nil {
			return err
		}
		f, err := frameAt(head)
		if err != nil {
			return err
		}
		whole, err := input.Peek(f.size)
		if err != nil {
			return err
		}
		code, n := descriptor(whole[f.head:])
		switch {
		case f.size == f.head: // only keeps the connection alive
		case n <= 0:
			return errAMQP
		case code == codeClose, code == codeEnd, code == codeDetach:
			return fmt.Errorf("the server has ended the link: %q", whole)
		}
		if _, err := input.Discard(f.size); err != nil {
			return err
		}
		if code == wanted {
			return nil
		}
	}
}

// frames returns the transfer frames of one batch of so many events.
func frames(l *load, events int) (pieces [][]byte) {
	var batch []byte
	for n := range events {
		batch = appendDataSection(batch, appendDataSection(nil, l.event(n).body))
	}
	for len(batch) > 0 {
		n := min(len(batch), frameLimit-len(transferHead))
		piece := append(append([]byte(nil), transferHead...), batch[:n]...)
		binary.BigEndian.PutUint32(piece, uint32(len(piece)))
		if batch = batch[n:]; len(batch) > 0 {
			piece[moreAt] = 0x41
		}
		pieces = append(pieces, piece)
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
