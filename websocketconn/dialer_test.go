package websocketconn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

func startServer(t *testing.T, transports emulator.Transport) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Transports: transports, Authentication: &emulator.Authentication{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// trusting returns a TLS configuration that trusts the server under any name.
func trusting(server *emulator.Server) *tls.Config {
	config := server.TLSConfig()
	config.ServerName = ""
	return config
}

// sendAndCompare sends events, among them the largest possible one, and compares the stored ones.
// It closes the producer.
func sendAndCompare(t *testing.T, server *emulator.Server, producer *eventhubs.BufferedProducer) {
	t.Helper()
	bodies := [][]byte{[]byte("small"), bytes.Repeat([]byte("x"), 1_000_000), []byte("last")}
	for _, body := range bodies {
		if err := producer.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionID: "1"}); err != nil {
			t.Error(err)
		}
	}
	if err := producer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	i := 0
	for e := range server.Events("events", "1") {
		if i < len(bodies) && !bytes.Equal(e.Body, bodies[i]) {
			t.Errorf("event %d has %d bytes, want the %d that were sent", i, len(e.Body), len(bodies[i]))
		}
		i++
	}
	if i != len(bodies) {
		t.Errorf("%d events are stored, want %d", i, len(bodies))
	}
}

func TestPublishesWithAndWithoutTLS(t *testing.T) {
	for name, test := range map[string]struct {
		transports emulator.Transport
		dial       func(*emulator.Server) *websocketconn.Dialer
	}{
		"ws":  {emulator.TransportPlain | emulator.TransportWebSocket, func(*emulator.Server) *websocketconn.Dialer { return new(websocketconn.Dialer) }},
		"wss": {emulator.TransportWebSocketTLS, func(s *emulator.Server) *websocketconn.Dialer { return &websocketconn.Dialer{TLSConfig: s.TLSConfig()} }},
		"wss with a client of the caller's": {emulator.TransportWebSocketTLS, func(s *emulator.Server) *websocketconn.Dialer {
			return &websocketconn.Dialer{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLSConfig()}, Timeout: time.Minute}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, test.transports)
			producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{
				Connection: eventhubs.ConnectionOptions{NewWebSocketConn: test.dial(server).Dial},
				Retry:      eventhubs.RetryOptions{MaxRetries: -1},
			})
			if err != nil {
				t.Fatal(err)
			}
			sendAndCompare(t, server, producer)
		})
	}
}

func TestWhatCannotBeDialedIsToldByName(t *testing.T) {
	noWebSocket := httptest.NewServer(http.NotFoundHandler())
	defer noWebSocket.Close()
	refused := httptest.NewUnstartedServer(nil)
	refused.Config.ErrorLog = log.New(io.Discard, "", 0)
	refused.StartTLS()
	defer refused.Close()
	for name, test := range map[string]struct {
		dialer websocketconn.Dialer
		host   string
		want   string
	}{
		"no URL":              {websocketconn.Dialer{}, "ns.servicebus.windows.net", `the URL of the WebSocket is "ns.servicebus.windows.net"`},
		"another scheme":      {websocketconn.Dialer{}, "ftp://host/", `"ftp"`},
		"two configurations":  {websocketconn.Dialer{HTTPClient: &http.Client{}, TLSConfig: &tls.Config{}}, "wss://host", "Dialer.HTTPClient is set together with TLSConfig"},
		"two proxies":         {websocketconn.Dialer{HTTPClient: &http.Client{}, Proxy: http.ProxyURL(nil)}, "wss://host", "Dialer.HTTPClient is set together with"},
		"no WebSocket there":  {websocketconn.Dialer{}, "ws" + strings.TrimPrefix(noWebSocket.URL, "http"), `HTTP status 404 Not Found instead of opening a WebSocket ("404 page not found"); check that it is an Event Hubs namespace`},
		"unknown certificate": {websocketconn.Dialer{}, "wss" + strings.TrimPrefix(refused.URL, "https"), "certificate signed by unknown authority"},
		"nobody there":        {websocketconn.Dialer{}, "wss://127.0.0.1:1", "127.0.0.1:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := test.dialer.Dial(t.Context(), test.host)
			if err == nil {
				conn.Close()
				t.Fatal("it was dialed")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want it to say %q", err, test.want)
			}
		})
	}
}

// inMemory returns a Dialer that reaches the handler through a network in memory, in a bubble of
// virtual time.
func inMemory(t *testing.T, handle func(*websocket.Conn)) *websocketconn.Dialer {
	near, far := net.Pipe()
	listener := &oneConn{conn: far, closed: make(chan struct{})}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"amqp"}})
		if err != nil {
			t.Error(err)
			return
		}
		handle(ws)
		_ = ws.CloseNow()
	})}
	served := make(chan struct{})
	// The goroutine ends when the server is closed; the cleanup waits for it.
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	return &websocketconn.Dialer{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	}}}
}

// A oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

const somewhere = "ws://" + namespace + "/$servicebus/websocket"

func TestCloseSaysFarewellAndDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan error, 1)
		d := inMemory(t, func(ws *websocket.Conn) {
			_, _, err := ws.Read(context.Background()) // answers a close frame by itself
			heard <- err
		})
		conn, err := d.Dial(t.Context(), somewhere)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if status := websocket.CloseStatus(<-heard); status != websocket.StatusNormalClosure {
			t.Errorf("the server heard %v, want a normal closure", status)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("closing took %v", d)
		}
	})
}

func TestCloseIsShortWithAPeerThatDoesNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		writing bool // while closing
		want    time.Duration
	}{
		"idle":    {false, time.Second},
		"writing": {true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				d := inMemory(t, func(*websocket.Conn) { <-end })
				conn, err := d.Dial(t.Context(), somewhere)
				if err != nil {
					t.Fatal(err)
				}
				wrote := make(chan error, 1)
				if test.writing {
					go func() { // ends when the connection is closed; awaited below
						_, err := conn.Write(make([]byte, 1<<20))
						wrote <- err
					}()
					synctest.Wait()
				}
				start := time.Now()
				_ = conn.Close()
				if d := time.Since(start); d != test.want {
					t.Errorf("closing took %v, want %v", d, test.want)
				}
				if test.writing && <-wrote == nil {
					t.Error("the write succeeded")
				}
				close(end)
			})
		})
	}
}

func TestSecondCloseCutsTheFirstShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		d := inMemory(t, func(*websocket.Conn) { <-end })
		conn, err := d.Dial(t.Context(), somewhere)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		closed := make(chan struct{})
		go func() { // ends with the second Close; awaited below
			defer close(closed)
			_ = conn.Close()
		}()
		synctest.Wait()
		_ = conn.Close()
		<-closed
		if d := time.Since(start); d != 0 {
			t.Errorf("closing took %v", d)
		}
		close(end)
	})
}

func TestMessagesMakeAStreamWhateverTheirSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := bytes.Repeat([]byte("0123456789"), 300_000)
		d := inMemory(t, func(ws *websocket.Conn) {
			ctx := context.Background()
			_ = ws.Write(ctx, websocket.MessageBinary, want[:7])
			_ = ws.Write(ctx, websocket.MessageBinary, nil)
			_ = ws.Write(ctx, websocket.MessageBinary, want[7:])
			_ = ws.Close(websocket.StatusNormalClosure, "")
		})
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := d.Dial(ctx, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		cancel() // The dialing is over, so this must have no effect.
		got, err := io.ReadAll(conn)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes and %v, want %d and the end", len(got), err, len(want))
		}
		_ = conn.Close()
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		// Ends when far is closed, below: a server that never answers.
		go func() { _, _ = io.Copy(io.Discard, far) }()
		d := websocketconn.Dialer{HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := d.Dial(ctx, somewhere); err == nil || time.Since(start) != 3*time.Second {
			t.Errorf("error %v after %v, want one after 3s", err, time.Since(start))
		}
		far.Close()
	})
}
