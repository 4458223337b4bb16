package emulator_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// dialIn connects in memory by a transport.
func dialIn(t *testing.T, server *emulator.Server, transport emulator.Transport) net.Conn {
	t.Helper()
	if transport == emulator.TransportWebSocket || transport == emulator.TransportWebSocketTLS {
		nc, _, err := dialWebSocket(t.Context(), server, server.URL(transport), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
	nc, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if transport == emulator.TransportTLS {
		return tls.Client(nc, server.TLSConfig())
	}
	return nc
}

// A client that does not read, while the server has much to send, receives no farewell of TLS and
// the WebSocket either.
func TestCloseKeepsItsTimeWhateverTheTransport(t *testing.T) {
	for _, transport := range []emulator.Transport{
		emulator.TransportPlain, emulator.TransportTLS, emulator.TransportWebSocket, emulator.TransportWebSocketTLS,
	} {
		synctest.Test(t, func(t *testing.T) {
			server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Logger: slog.New(slog.DiscardHandler)})
			for i := range 40 {
				if err := server.Seed("events", "0", emulator.Event{Body: fmt.Append(make([]byte, 50_000), i)}); err != nil {
					t.Fatal(err)
				}
			}
			conn, err := amqp.Client(t.Context(), dialIn(t, server, transport), &amqp.Config{WriteTimeout: -1})
			if err != nil {
				t.Fatal(err)
			}
			session, err := conn.NewSession(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			link, err := session.Attach(t.Context(), &amqp.Attach{
				Name: "r", Role: amqp.RoleReceiver, Target: &amqp.Target{}, Source: &amqp.Source{Address: "events/ConsumerGroups/$Default/Partitions/0"},
			})
			if err != nil {
				t.Fatal(err)
			}
			conn.PauseReading()
			if err := link.Credit(100); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			start := time.Now()
			_ = server.Close()
			if got := time.Since(start); got > 5*time.Second {
				t.Errorf("%s: Close took %v, want at most 5s", server.URL(transport), got)
			}
			conn.Cut()
			<-conn.Done()
			synctest.Wait()
		})
	}
}

// The answers have nowhere to go, so the requests stay. After the client is gone, they are
// forgotten.
func TestRequestsWithoutCreditForTheirAnswersAreForgottenWithTheirClient(t *testing.T) {
	const requests, size = 24, 16 << 20 // bytes each: more than the buffers of a connection
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{
			Addr: emulator.InMemory, MaxMessageSize: size + 1000, Logger: slog.New(slog.DiscardHandler), IdleTimeout: -1,
		})
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := amqp.Client(t.Context(), nc, &amqp.Config{WriteTimeout: -1, IdleTimeout: -1})
		if err != nil {
			t.Fatal(err)
		}
		session, err := conn.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.Attach(t.Context(), &amqp.Attach{ // which never has credit
			Name: "replies", Role: amqp.RoleReceiver, Target: &amqp.Target{Address: "me"}, Source: &amqp.Source{Address: "$management"},
		}); err != nil {
			t.Fatal(err)
		}
		link, err := session.Attach(t.Context(), &amqp.Attach{
			Name: "requests", Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "$management"},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := footprint()
		request := encodeRequest(t, size)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		sent := 0
		for ; sent < requests; sent++ {
			if link.Send(ctx, &amqp.Delivery{Payload: request}) != nil {
				break
			}
		}
		if sent < 15 || sent == requests {
			t.Errorf("%d requests went out, want about 16", sent)
		}
		time.Sleep(time.Hour)
		if err := conn.Err(); err != nil {
			t.Fatalf("a client that is there is not served any more: %v", err)
		}
		conn.Cut()
		<-conn.Done()
		start := time.Now()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(server.Snapshot().Connections); n != 0 {
			t.Errorf("%v after its client is gone the connection is still there", time.Since(start))
		}
		request, link, session, conn = nil, nil, nil, nil
		if held := int64(footprint()) - int64(before); held > 64<<20 {
			t.Errorf("%d MB are held for a client that is gone", held>>20)
		}
	})
}

// encodeRequest returns a request of size bytes to $management.
func encodeRequest(t *testing.T, size int) []byte {
	t.Helper()
	b, err := (&amqp.Message{
		Properties:            &amqp.Properties{MessageID: "1", ReplyTo: new("me")},
		ApplicationProperties: amqp.Map{{Key: "operation", Value: "READ"}, {Key: "type", Value: "com.microsoft:eventhub"}, {Key: "name", Value: "events"}},
		HasValue:              true,
		Value:                 make([]byte, size-300),
	}).AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
