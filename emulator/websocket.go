package emulator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/go-eventhubs/eventhubs/internal/local"
)

const (
	webSocketPath = "/$servicebus/websocket" // .NET appends a slash

	// maxRequest bounds the head of an HTTP request in bytes.
	maxRequest = 16 << 10

	// farewellTimeout bounds the time to write a close frame.
	farewellTimeout = time.Second
)

// webSocketProtocols are the sub-protocols that clients offer: most offer the first, the examples
// of Azure's Go client the second.
var webSocketProtocols = []string{"AMQPWSB10", "amqp"}

// names are the server's names in the addresses to listen on.
func (s *Server) names() []string {
	names := []string{local.Name(s.options.Addr)}
	for _, addr := range s.options.ExtraAddrs {
		names = append(names, local.Name(addr))
	}
	return names
}

// errOtherPath is why a request for something else than a WebSocket is refused.
var errOtherPath = errors.New("the request is not for AMQP over WebSocket")

// upgrade answers the HTTP request with which a client begins AMQP over WebSocket. A browser may
// use the server by these names.
func upgrade(nc net.Conn, names []string) (net.Conn, error) {
	limited := &io.LimitedReader{R: nc, N: maxRequest}
	w := &upgradeWriter{
		nc:     nc,
		r:      bufio.NewReader(limited),
		w:      bufio.NewWriter(nc),
		header: make(http.Header),
	}
	r, err := http.ReadRequest(w.r)
	if err != nil {
		if limited.N <= 0 {
			err = fmt.Errorf("the head has more than %d bytes: %w", maxRequest, err)
		}
		return nil, fmt.Errorf("HTTP request: %w", err)
	}
	if !strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), webSocketPath) {
		return nil, fmt.Errorf("%w: %w", errOtherPath, w.refuse(http.StatusNotFound, fmt.Sprintf("AMQP over WebSocket is at %s.", webSocketPath)))
	}
	if refusal := refuseOrigin(r, names); refusal != "" {
		return nil, w.refuse(http.StatusForbidden, refusal)
	}
	if !offers(r, webSocketProtocols) {
		return nil, w.refuse(http.StatusBadRequest, fmt.Sprintf("The request must offer the sub-protocol %s.", webSocketProtocols[0]))
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       webSocketProtocols,
		InsecureSkipVerify: true, // refuseOrigin has checked: the library would trust any Host that equals the origin
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		_ = w.w.Flush()
		return nil, err
	}
	ws.SetReadLimit(-1) // messages are read as a stream, so their size does not matter
	return &webSocketConn{Conn: nc, ws: ws}, nil
}

// refuseOrigin says why a page may not open a WebSocket: a page from elsewhere must not reach into
// the developer's machine. The result is empty if the page may, or if there is no page: a browser
// always sends a page's origin.
func refuseOrigin(r *http.Request, names []string) string {
	for _, origin := range r.Header.Values("Origin") {
		switch {
		case !local.IsMeant(r.Host, names...):
			return "A page may connect by IP address or localhost: " + local.Refusal(r.Host) + "."
		case !local.MayOpen(origin, r.Host, names...):
			return "A page of " + strings.ToValidUTF8(origin, "?") + " may not connect: it must be of this server's host or of this machine."
		}
	}
	return ""
}

// offers reports whether a request names one of the sub-protocols.
func offers(r *http.Request, protocols []string) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if slices.ContainsFunc(protocols, func(p string) bool { return strings.EqualFold(p, strings.TrimSpace(name)) }) {
				return true
			}
		}
	}
	return false
}

// An upgradeWriter answers one request on a connection without an http.Server.
type upgradeWriter struct {
	nc     net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	header http.Header
}

var _ http.Hijacker = (*upgradeWriter)(nil)

func (u *upgradeWriter) Header() http.Header { return u.header }

func (u *upgradeWriter) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		u.header.Set("Connection", "close") // also ends the body
	}
	u.header.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // RFC 9110, 6.6.1; clients compare their clocks
	_, _ = fmt.Fprintf(u.w, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = u.header.Write(u.w)
	_, _ = u.w.WriteString("\r\n")
}

func (u *upgradeWriter) Write(p []byte) (int, error) { return u.w.Write(p) }

// Hijack returns the connection after flushing the answer.
func (u *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return u.nc, bufio.NewReadWriter(u.r, u.w), u.w.Flush()
}

// refuse answers with an error.
func (u *upgradeWriter) refuse(status int, text string) error {
	http.Error(u, text, status)
	_ = u.w.Flush()
	return fmt.Errorf("HTTP status %d: %s", status, text)
}

// A webSocketConn is the stream of binary messages, whatever their boundaries. Deadlines and
// addresses are those of the connection below.
type webSocketConn struct {
	net.Conn
	ws      *websocket.Conn
	message io.Reader // owned by the reader; nil between messages

	writing  sync.Mutex // held while a message or a close frame is written; guards the field below
	farewell bool       // a close frame was sent
}

func (c *webSocketConn) Read(p []byte) (int, error) {
	for {
		if c.message == nil {
			kind, message, err := c.ws.Reader(context.Background())
			switch {
			case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
				return 0, io.EOF
			case err != nil:
				return 0, err
			case kind != websocket.MessageBinary:
				c.sayFarewell(websocket.StatusUnsupportedData)
				return 0, errors.New("a WebSocket message that is text, not binary")
			}
			c.message = message
		}
		n, err := c.message.Read(p)
		if err == io.EOF {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *webSocketConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// sayFarewell sends a close frame with a status, once (RFC 6455, 5.5.1 and 7.4.1). It does not wait
// for a message that is being written, since a client that does not read would hold it up.
func (c *webSocketConn) sayFarewell(status websocket.StatusCode) {
	if !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if c.farewell {
		return
	}
	c.farewell = true
	_ = c.Conn.SetWriteDeadline(time.Now().Add(farewellTimeout))
	_, _ = c.Conn.Write([]byte{0x88, 2, byte(status >> 8), byte(status)}) // the library buffers nothing between messages
}

// Close sends a close frame, since some clients treat a WebSocket that ends without one as broken.
// It does not wait for the answer: the peers have closed the AMQP connection before.
func (c *webSocketConn) Close() error {
	c.sayFarewell(websocket.StatusNormalClosure)
	return c.ws.CloseNow()
}
