package amqp

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A miscounting is an application's net.Conn whose Write can be made to return anything.
type miscounting struct {
	net.Conn
	write func(b []byte) (int, error) // nil: the correct count
}

func (c *miscounting) Write(b []byte) (int, error) {
	if c.write != nil {
		return c.write(b)
	}
	return c.Conn.Write(b)
}

// An application's net.Conn may break the contract of io.Writer. Some return -1 with an error, or
// write less than all without one.
func TestAWriteThatCountsWrongEndsTheConnection(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, c := range map[string]struct {
		write func(b []byte) (int, error)
		want  string
	}{
		"less than nothing":                   {func([]byte) (int, error) { return -1, broken }, "broken pipe"},
		"more than there was":                 {func(b []byte) (int, error) { return len(b) + 1, broken }, "broken pipe"},
		"less, without an error":              {func(b []byte) (int, error) { return len(b) / 2, nil }, "short write"},
		"less than nothing, without an error": {func(b []byte) (int, error) { return -1, nil }, "short write"},
		"more, without an error":              {func(b []byte) (int, error) { return len(b) + 1, nil }, "short write"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := memnet.Pipe()
				nc := &miscounting{Conn: a}
				client, server := pairOver(t, nc, b, nil, nil)
				defer server.Cut()
				sender, receiver := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, Source: &Source{}, Target: &Target{}})
				if err := receiver.Credit(100); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				nc.write = c.write
				d := &Delivery{Frames: [][]byte{dataPiece(make([]byte, MaxPiece), 1), dataPiece(make([]byte, 5000), 2)}}
				if err := sender.Queue(d); err != nil {
					t.Fatal(err)
				}
				if state, err := d.Wait(try(t)); err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrClosed) {
					t.Errorf("the outcome is %v, %v, want the error %q", state, err, c.want)
				}
				<-client.Done()
				if d.Held() != nil {
					t.Error("the engine still holds the memory")
				}
				if !strings.HasPrefix(name, "more") && d.Sent() != (name == "less, without an error") {
					t.Errorf("sent is %v", d.Sent())
				}
			})
		})
	}
}

// A metered is an application's net.Conn with all of a socket's methods and its own Write. It even
// has those methods that only package net can call.
type metered struct {
	*net.TCPConn
	written atomic.Int64
}

func (c *metered) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b)))
	return c.TCPConn.Write(b)
}

func TestAWriteOfTheApplicationsOwnIsNotPassedBy(t *testing.T) {
	ours, theirs := sockets(t)
	nc := &metered{TCPConn: ours.(*net.TCPConn)}
	client, server := pairOver(t, nc, theirs, nil, nil)
	defer func() { client.Cut(); server.Cut() }()
	sender, receiver := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, Source: &Source{}, Target: &Target{}})
	if err := receiver.Credit(1); err != nil {
		t.Fatal(err)
	}
	const size = 3 * MaxPiece
	d := &Delivery{}
	for range size / MaxPiece {
		d.Frames = append(d.Frames, dataPiece(make([]byte, MaxPiece), 'x'))
	}
	before := nc.written.Load()
	if err := sender.Queue(d); err != nil {
		t.Fatal(err)
	}
	if _, err := receiver.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := nc.written.Load() - before; n < size-size/100 {
		t.Errorf("of %d bytes %d went through the net.Conn's Write", size, n)
	}
}
