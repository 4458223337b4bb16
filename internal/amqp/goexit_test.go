package amqp

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// An endingConn ends the goroutine that reads or writes, as FailNow of a test does in a fake.
type endingConn struct {
	net.Conn
	reading, writing atomic.Bool
}

func (c *endingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.reading.Load() {
		runtime.Goexit()
	}
	return n, err
}

func (c *endingConn) Write(b []byte) (int, error) {
	if c.writing.Load() {
		runtime.Goexit()
	}
	return c.Conn.Write(b)
}

func TestANetConnThatEndsAGoroutineEndsTheConnection(t *testing.T) {
	for name, end := range map[string]func(c *endingConn){
		"reading": func(c *endingConn) { c.reading.Store(true) },
		"writing": func(c *endingConn) { c.writing.Store(true) },
	} {
		bubble(t, func(t *testing.T) {
			a, b := memnet.Pipe()
			nc := &endingConn{Conn: a}
			served := make(chan *Conn, 1)
			go func() { // ends with the handshake
				server, _ := Server(t.Context(), b, nil)
				served <- server
			}()
			client, err := Client(t.Context(), nc, nil)
			if err != nil {
				t.Fatal(err)
			}
			server := <-served
			l, far := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, Source: &Source{}, Target: &Target{}})
			if err := far.Credit(10); err != nil {
				t.Fatal(err)
			}
			if err := l.WaitCredit(t.Context()); err != nil {
				t.Fatal(err)
			}
			end(nc)
			d := &Delivery{Payload: []byte("x")}
			if err := l.Queue(d); err != nil {
				t.Fatal(err)
			}
			if name == "reading" {
				_ = far.Detach(nil)
			}
			if _, err := d.Wait(context.Background()); !errors.Is(err, ErrClosed) || name == "writing" && !d.Sent() {
				t.Errorf("%s: %v, sent: %v; want ErrClosed, and, of what the writer had, that it may have been sent", name, err, d.Sent())
			}
			<-client.Done()
			<-server.Done()
		})
	}
}
