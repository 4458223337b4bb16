package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A nullAMQP looks like an Event Hubs namespace to publishers. It grants every token, describes one
// hub, gives credit, accepts and counts messages, and keeps none. It reads only the lengths of a
// message's sections.
type nullAMQP struct {
	*listener
	partitions int
	encrypted  bool
	delay      *delay
	events     atomic.Int64
	batches    atomic.Int64
	bytes      atomic.Int64 // of the messages, as they came
}

const (
	nullReadBytes = 256 << 10 // larger than a frame, smaller than a core's own cache
	nullCredit    = 300       // of each link, like the service
	nullBeat      = 10 * time.Second
	transferLimit = 512 // bytes of a transfer's performative
)

func startNullAMQP(s *scenario) (nullServer, error) {
	if s.Partitions < 1 {
		return nil, fmt.Errorf("a hub has at least one partition: Partitions is %d", s.Partitions)
	}
	n := &nullAMQP{partitions: s.Partitions, encrypted: s.TLS, delay: newDelay(s.Ack)}
	var err error
	n.listener, err = listen(s.TLS, n.serve)
	return n, err
}

func (n *nullAMQP) address() address {
	a := n.listener.address()
	_, port, _ := net.SplitHostPort(a.Addr)
	const key = "SharedAccessKeyName=bench;SharedAccessKey=bench"
	if n.encrypted {
		a.ConnectionString = "Endpoint=sb://localhost:" + port + ";" + key
	} else {
		a.ConnectionString = "Endpoint=sb://127.0.0.1:" + port + ";" + key + ";UseDevelopmentEmulator=true"
	}
	return a
}

func (n *nullAMQP) counts() tally {
	return tally{Events: n.events.Load(), Batches: n.batches.Load(), Bytes: n.bytes.Load()}
}

func (n *nullAMQP) serve(conn net.Conn) {
	if err := newNullConn(n, conn).serve(); err != nil && !errors.Is(err, net.ErrClosed) {
		slog.Error("null AMQP server: a connection ended", "error", err)
	}
}

// A nullConn is one connection. Its goroutine reads, processes frames as they come, and writes all
// answers to a read at once.
type nullConn struct {
	server   *nullAMQP
	conn     net.Conn
	greeting bool // a protocol header comes next
	closed   bool
	sessions map[uint16]*nullSession
	fields   list   // of the current frame
	out      []byte // answers not written yet

	// The transfer frame whose payload is being read.
	link    *nullLink
	payload int // bytes to come
	more    bool

	writing sync.Mutex // timers write delayed acknowledgements
}

// A nullSession is a session. Its channel is the client's.
type nullSession struct {
	channel  uint16
	incoming uint32 // next-incoming-id
	outgoing uint32 // next-outgoing-id
	links    map[uint32]*nullLink
}

// A nullLink is a link. Its handle is the client's.
type nullLink struct {
	session *nullSession
	handle  uint32
	node    string // of the hub, "$cbs" or "$management"
	replies bool   // the server sends on it
	address string // where replies go

	// If the client sends on the link.
	deliveries uint32 // delivery-count
	flowed     uint32 // delivery-count at the last credit
	begun      bool
	delivery   uint32
	format     uint32
	settled    bool
	message    message
	request    []byte // of $cbs and $management

	// If the server sends replies on the link.
	sent   uint32
	credit uint32
	queue  [][]byte
}

func newNullConn(server *nullAMQP, conn net.Conn) *nullConn {
	return &nullConn{server: server, conn: conn, greeting: true, sessions: make(map[uint16]*nullSession)}
}

// serve returns when the connection is closed.
func (c *nullConn) serve() error {
	buffer := make([]byte, nullReadBytes)
	held := 0
	_ = c.conn.SetReadDeadline(time.Now().Add(nullBeat)) // a failure shows in Read
	for !c.closed {
		n, err := c.conn.Read(buffer[held:])
		held += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // shorter than any peer's idle time-out
			c.out = append(c.out, 0, 0, 0, 8, 2, frameAMQP, 0, 0)
			_ = c.conn.SetReadDeadline(time.Now().Add(nullBeat))
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		used, err := c.take(buffer[:held])
		if err != nil {
			return err
		}
		held = copy(buffer, buffer[used:held])
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the answers.
func (c *nullConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *nullConn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.conn.Write(b)
	return err
}

// take processes as much of b as it can: payloads in pieces, other frames when they are complete.
func (c *nullConn) take(b []byte) (used int, err error) {
	whole := len(b)
	for !c.closed {
		if c.payload > 0 {
			n := min(c.payload, len(b))
			if err := c.pass(b[:n]); err != nil {
				return 0, err
			}
			b, c.payload = b[n:], c.payload-n
			if c.payload > 0 {
				break
			}
			if err := c.frameEnded(); err != nil {
				return 0, err
			}
		}
		if len(b) < frameHead {
			break
		}
		if c.greeting {
			if err := c.greet(string(b[:frameHead])); err != nil {
				return 0, err
			}
			b = b[frameHead:]
			continue
		}
		f, err := frameAt(b)
		if err != nil {
			return 0, err
		}
		if f.kind == frameAMQP && len(b) >= min(f.size, f.head+transferLimit) && isTransfer(b[f.head:min(f.size, len(b))]) {
			rest, err := c.transfer(f, b[f.head:min(f.size, f.head+transferLimit)])
			if err != nil {
				return 0, err
			}
			head := min(f.size, f.head+transferLimit) - len(rest)
			b, c.payload = b[head:], f.size-head
			if c.payload == 0 {
				err = c.frameEnded()
			}
			if err != nil {
				return 0, err
			}
			continue
		}
		if len(b) < f.size {
			break
		}
		if f.size > f.head { // an empty frame only keeps the connection alive
			if err := c.other(f, b[f.head:f.size]); err != nil {
				return 0, err
			}
		}
		b = b[f.size:]
	}
	return whole - len(b), nil
}

func isTransfer(body []byte) bool {
	code, n := descriptor(body)
	return n > 0 && code == codeTransfer
}

// greet answers a protocol header with the same header.
func (c *nullConn) greet(header string) error {
	c.greeting = false
	c.out = append(c.out, header...)
	switch header {
	case headerSASL:
		c.out = appendFrame(c.out, frameSASL, 0, codeMechanisms, nil, encodedStrings(0xb3, "MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"))
		return nil
	case headerAMQP:
		return nil
	default:
		return fmt.Errorf("%w: it begins with %q", errAMQP, header)
	}
}

// transfer reads the performative of a transfer, and returns the payload part of b.
func (c *nullConn) transfer(f frame, b []byte) (payload []byte, err error) {
	_, payload, err = c.fields.described(b)
	if err != nil {
		return nil, err
	}
	s := c.sessions[f.channel]
	if s == nil {
		return nil, fmt.Errorf("a transfer on channel %d, which has no session", f.channel)
	}
	s.incoming++
	l := s.links[number(c.fields[0])]
	if l == nil || l.replies {
		return nil, fmt.Errorf("a transfer on handle %d of channel %d, on which the client does not send", number(c.fields[0]), f.channel)
	}
	if !l.begun {
		if c.fields[1] == nil {
			return nil, errors.New("a delivery begins without a delivery-id")
		}
		l.begun, l.delivery, l.format = true, number(c.fields[1]), number(c.fields[3])
		l.settled, l.message, l.request = false, message{}, l.request[:0]
	}
	l.settled = l.settled || truth(c.fields[4])
	c.link, c.more = l, truth(c.fields[5])
	if truth(c.fields[9]) { // aborted
		l.begun, c.more = false, true
	}
	return payload, nil
}

// pass processes a piece of a payload.
func (c *nullConn) pass(b []byte) error {
	l := c.link
	if l.node != "" {
		if len(l.request)+len(b) > blockBytes {
			return fmt.Errorf("a request to %s of more than %d bytes", l.node, blockBytes)
		}
		l.request = append(l.request, b...)
		return nil
	}
	return l.message.pass(b)
}

// frameEnded ends a transfer frame, and its delivery after the last frame.
func (c *nullConn) frameEnded() error {
	l := c.link
	if c.more {
		return nil
	}
	l.begun = false
	l.deliveries++
	if l.deliveries-l.flowed >= nullCredit/2 {
		c.give(l)
	}
	if l.node != "" {
		c.accept(l, 0)
		return c.answer(l)
	}
	if !l.message.whole() {
		return fmt.Errorf("a message of %d bytes ends within a section", l.message.bytes)
	}
	events := int64(1)
	if l.format == batchFormat {
		events = l.message.data
	}
	c.server.events.Add(events)
	c.server.batches.Add(1)
	c.server.bytes.Add(l.message.bytes)
	c.accept(l, c.server.delay.next())
	return nil
}

// give renews a link's credit, and with it the session's window.
func (c *nullConn) give(l *nullLink) {
	l.flowed = l.deliveries
	s := l.session
	c.out = appendFrame(c.out, frameAMQP, s.channel, codeFlow, nil, encodedUint(s.incoming), encodedUint(openWindow), encodedUint(s.outgoing), encodedUint(openWindow),
		encodedUint(l.handle), encodedUint(l.deliveries), encodedUint(nullCredit))
}

// accepted is the disposition frame that accepts a delivery. Its channel and delivery-id are filled
// in.
const (
	accepted           = "\x00\x00\x00\x1a\x02\x00\x00\x00\x00\x53\x15\xc0\x0d\x05\x41\x70\x00\x00\x00\x00\x40\x41\x00\x53\x24\x45"
	acceptedChannelAt  = 6
	acceptedDeliveryAt = 16
)

// accept accepts the finished delivery, after a delay if there is one.
func (c *nullConn) accept(l *nullLink, wait time.Duration) {
	if l.settled {
		return
	}
	dst := c.out
	if wait > 0 {
		dst = nil
	}
	at := len(dst)
	dst = append(dst, accepted...)
	binary.BigEndian.PutUint16(dst[at+acceptedChannelAt:], l.session.channel)
	binary.BigEndian.PutUint32(dst[at+acceptedDeliveryAt:], l.delivery)
	if wait == 0 {
		c.out = dst
		return
	}
	// Ends with its write. After the connection's end the write fails without effect.
	time.AfterFunc(wait, func() { _ = c.write(dst) })
}
