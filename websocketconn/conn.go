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

// farewellTimeout bounds how long a close frame may take to be written.
const farewellTimeout = time.Second

// A stream is what a WebSocket's frames are written to. Each write of a control frame is one call, so they do not mix.
type stream struct {
	io.ReadWriteCloser

	writing sync.Mutex // held during a Write
}

func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.ReadWriteCloser.Write(p)
}

// A conn is a WebSocket as a stream of bytes.
type conn struct {
	net.Conn // the library's: reading, writing and deadlines
	ws       *websocket.Conn
	below    *stream
	leaving  atomic.Bool // Close was called

	message sync.Mutex // held while a message is written, which may take several writes below
}

func newConn(ws *websocket.Conn, below *stream) net.Conn {
	// The library's own net.Conn has no limit on what it reads. It lives until it is closed, whatever happens to the context of dialing.
	return &conn{Conn: websocket.NetConn(context.Background(), ws, websocket.MessageBinary), ws: ws, below: below}
}

func (c *conn) Write(p []byte) (int, error) {
	c.message.Lock()
	defer c.message.Unlock()
	return c.Conn.Write(p)
}

// Close says farewell, which servers may want to hear before the end, and does not wait for the answer: the library's own Close would, for
// seconds, with a peer that is silent. A second Close cuts short what the first still does.
func (c *conn) Close() error {
	if !c.leaving.Swap(true) && c.message.TryLock() {
		// Eight bytes always fit, unless the peer has stopped reading.
		timer := time.AfterFunc(farewellTimeout, func() { _ = c.ws.CloseNow() })
		_, _ = c.below.Write(closeFrame())
		timer.Stop()
		c.message.Unlock()
	}
	_ = c.SetDeadline(time.Time{}) // stops the library's timers
	return c.ws.CloseNow()
}

// closeFrame says that all went well: status 1000, masked as a client must (RFC 6455, 5.3, 5.5.1 and 7.4.1).
func closeFrame() []byte {
	const final, opClose, masked = 0x80, 0x8, 0x80
	frame := []byte{final | opClose, masked | 2, 0, 0, 0, 0, 0x03, 0xe8}
	mask := frame[2:6]
	_, _ = rand.Read(mask) // never fails, says its documentation
	for i := range frame[6:] {
		frame[6+i] ^= mask[i]
	}
	return frame
}
