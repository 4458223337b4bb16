package memnet

import (
	"io"
	"net"
	"time"
)

// Conn is one end of a connection in memory. It may be used by several goroutines at once.
type Conn struct {
	// Immutable after Pipe.
	in, out       *queue
	local, remote Addr
}

var _ net.Conn = (*Conn)(nil)

// Addr is the address of a connection's end. It cannot be dialled.
type Addr string

// Network returns "memnet".
func (Addr) Network() string { return "memnet" }

func (a Addr) String() string { return string(a) }

// Pipe returns the two ends of a new connection.
func Pipe() (client, server *Conn) {
	up, down := newQueue(), newQueue()
	client = &Conn{in: down, out: up, local: "client", remote: "server"}
	server = &Conn{in: up, out: down, local: "server", remote: "client"}
	return client, server
}

// Read waits for bytes. After the other end was closed, and all its bytes have been read, it
// returns io.EOF. Other errors are wrapped in a *net.OpError: net.ErrClosed after Close,
// os.ErrDeadlineExceeded after the read deadline, and syscall.ECONNRESET after Cut.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

// Write waits only while BufferSize bytes are unread. After the other end was closed, its error is
// syscall.EPIPE; the other errors are as for Read. The other end may still read the bytes that were
// written before an error.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

// Close closes this end: its reads and writes fail, including waiting ones. The other end reads the
// earlier bytes and then io.EOF. Close never blocks.
func (c *Conn) Close() error {
	c.in.update(func(q *queue) { q.readerGone = true })
	c.out.update(func(q *queue) { q.writerGone = true })
	return nil
}

// Cut breaks the connection: reads and writes of both ends fail at once, including waiting ones.
// Unread bytes are lost.
func (c *Conn) Cut() {
	cut := func(q *queue) { q.cut = true }
	c.in.update(cut)
	c.out.update(cut)
}

// LocalAddr returns "client" or "server".
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns "server" or "client".
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; the zero time means none.
func (c *Conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline makes reads fail from t on, including a waiting one.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.update(func(q *queue) { q.readDeadline = t })
	return nil
}

// SetWriteDeadline makes writes fail from t on, including a waiting one.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.update(func(q *queue) { q.writeDeadline = t })
	return nil
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "memnet", Source: c.local, Addr: c.remote, Err: err}
}
