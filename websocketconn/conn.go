package websocketconn

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// farewellTimeout bounds the writing of a close frame.
const farewellTimeout = time.Second

// A stream is the connection below a WebSocket. Each control frame is one call of Write, so frames
// do not mix.
type stream struct {
	io.ReadWriteCloser

	writing sync.Mutex // held during a Write
}

func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.ReadWriteCloser.Write(p)
}

// A conn is a WebSocket in the form of a byte stream.
type conn struct {
	net.Conn // the library's: reads, writes and deadlines
	ws       *websocket.Conn
	below    *stream
	leaving  atomic.Bool // Close was called

	message sync.Mutex // held during the writing of a message, which may take several writes below
}

func newConn(ws *websocket.Conn, below *stream) net.Conn {
	// The library's own net.Conn has no limit for reads. It lives until it is closed, also after
	// the context of dialing has ended.
	return &conn{Conn: websocket.NetConn(context.Background(), ws, websocket.MessageBinary), ws: ws, below: below}
}

func (c *conn) Write(p []byte) (int, error) {
	c.message.Lock()
	defer c.message.Unlock()
	return c.Conn.Write(p)
}

// Close sends a close frame, which servers may expect, and does not wait for the answer. The
// library's own Close would wait for seconds if the peer is silent. A second Close ends the first
// one's wait.
func (c *conn) Close() error {
	if !c.leaving.Swap(true) && c.message.TryLock() {
		// Eight bytes always fit, unless the peer does not read.
		timer := time.AfterFunc(farewellTimeout, func() { _ = c.ws.CloseNow() })
		_, _ = c.below.Write(closeFrame())
		timer.Stop()
		c.message.Unlock()
	}
	_ = c.SetDeadline(time.Time{}) // stops the library's timers
	return c.ws.CloseNow()
}

// closeFrame returns a close frame with status 1000 (normal), masked as a client must (RFC 6455,
// 5.3, 5.5.1 and 7.4.1).
func closeFrame() []byte {
	const final, opClose, masked = 0x80, 0x8, 0x80
	frame := []byte{final | opClose, masked | 2, 0, 0, 0, 0, 0x03, 0xe8}
	mask := frame[2:6]
	_, _ = rand.Read(mask) // its documentation says that it never fails
	for i := range frame[6:] {
		frame[6+i] ^= mask[i]
	}
	return frame
}
