package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// rawOpen is the input of a client that leaves out SASL: the header, and an open frame with a
// container-id.
const rawOpen = "AMQP\x00\x01\x00\x00" + "\x00\x00\x00\x11\x02\x00\x00\x00\x00\x53\x10\xc0\x04\x01\xa1\x01x"

// dialRaw connects in memory and sends something.
func dialRaw(t testing.TB, server *emulator.Server, say string) net.Conn {
	t.Helper()
	nc, err := server.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte(say)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// footprint is the memory in use after a collection.
func footprint() uint64 {
	runtime.GC()
	runtime.GC() // memory released by finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func TestThousandsOfIdleConnectionsTakeLittleMemory(t *testing.T) {
	const clients, most = 2_000, 64 << 10 // bytes per client, including both directions of the network in memory and the test's end
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	before, goroutines := footprint(), runtime.NumGoroutine()
	var idle []net.Conn
	for range clients {
		idle = append(idle, dialRaw(t, server, rawOpen))
	}
	answer := make([]byte, 8)
	for i, nc := range idle {
		if _, err := io.ReadFull(nc, answer); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	each := (footprint() - before) / clients
	t.Logf("%d bytes a connection, %d goroutines", each, (runtime.NumGoroutine()-goroutines)/clients)
	if each > most {
		t.Errorf("an idle connection takes %d bytes, want at most %d", each, most)
	}
	// Working clients do not notice.
	mustPublish(t, newProducer(t, server, "events", inMemory(server)), nil, "event")
	for _, nc := range idle {
		_ = nc.Close()
	}
}

func TestConnectionsBeyondTheMaximumAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, MaxConnections: 2})
		connect := func() *amqp.Conn {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := amqp.Client(t.Context(), nc, nil)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		first, second, third := connect(), connect(), connect()
		<-third.Done()
		synctest.Wait()
		e, ok := errors.AsType[*amqp.Error](third.Err())
		if !ok || e.Condition != "amqp:resource-limit-exceeded" || !strings.Contains(e.Description, "maximum of 2") {
			t.Errorf("the third connection: %v", third.Err())
		}
		// Clients that do not even read the refusal are bounded too.
		var silent []net.Conn
		for range 100 {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			silent = append(silent, nc)
		}
		synctest.Wait()
		dropped := 0
		for _, nc := range silent {
			_ = nc.SetReadDeadline(time.Now())
			if _, err := nc.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
				dropped++
			}
		}
		if dropped != 36 {
			t.Errorf("%d of 100 silent connections are dropped at once, want 36", dropped)
		}
		for _, nc := range silent {
			_ = nc.Close()
		}
		if _, err := first.NewSession(t.Context()); err != nil {
			t.Errorf("the first connection is disturbed: %v", err)
		}
		_ = second.Close(nil)
		synctest.Wait()
		fourth := connect()
		if _, err := fourth.NewSession(t.Context()); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		_ = fourth.Close(nil)
		_ = first.Close(nil)
	})
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestLinksBeyondTheMaximumAreRefused(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Logger: slog.New(slog.DiscardHandler)})
	nc, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Client(t.Context(), nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(nil) }()
	const most = 5_000
	var session *amqp.Session
	refused := 0
	for i := range most + 20 {
		if i%200 == 0 {
			if session, err = conn.NewSession(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := session.Attach(t.Context(), &amqp.Attach{
			Name: fmt.Sprint(i), Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "events"},
		})
		e, _ := errors.AsType[*amqp.Error](err)
		switch {
		case err == nil && i < most:
		case i >= most && e != nil && e.Condition == "amqp:resource-limit-exceeded" && strings.Contains(e.Description, "The maximum is 5000"):
			refused++
		default:
			t.Fatalf("link %d: %v", i, err)
		}
	}
	if refused != 20 {
		t.Errorf("%d links refused, want 20", refused)
	}
}

func TestHalfOpenConnectionsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		begin := time.Now()
		var wg sync.WaitGroup
		for name, say := range map[string]string{
			"a letter": "A", "half a header": "AMQP\x03", "a header": "AMQP\x03\x01\x00\x00", "no open": "AMQP\x00\x01\x00\x00",
			"half a frame": rawOpen[:20], "half a TLS record": "\x16\x03\x01\x02\x00\x01", "TLS asked for": "AMQP\x02\x01\x00\x00",
			"half an HTTP request": "GET /$servicebus/websocket HTTP/1.1\r\nHost:",
		} {
			nc := dialRaw(t, server, say)
			wg.Go(func() { // ends when the server drops the connection
				_, _ = io.Copy(io.Discard, nc)
				if got := time.Since(begin); got != 20*time.Second {
					t.Errorf("%s: dropped after %v, want 20 s", name, got)
				}
				_ = nc.Close()
			})
		}
		wg.Wait()
	})
}

// frame returns an AMQP frame on channel 0.
func frame(body string) string {
	n := 8 + len(body)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 2, 0, 0, 0}) + body
}

func TestNonsenseEndsItsOwnConnectionOnly(t *testing.T) {
	const begin = "\x00\x53\x11\xc0\x07\x04\x40\x43\x52\x10\x52\x10"
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		good := newProducer(t, server, "events", inMemory(server))
		mustPublish(t, good, nil, "before")
		for name, test := range map[string]struct{ say, condition string }{
			"a frame of a gigabyte":            {"\x40\x00\x00\x00\x02\x00\x00\x00", "amqp:connection:framing-error"},
			"a frame of 7 bytes":               {"\x00\x00\x00\x07\x02\x00\x00\x00", "amqp:connection:framing-error"},
			"an offset beyond the frame":       {"\x00\x00\x00\x08\xff\x00\x00\x00", "amqp:connection:framing-error"},
			"a frame of an unknown type":       {"\x00\x00\x00\x09\x02\x07\x00\x00x", "amqp:connection:framing-error"},
			"a body that is text":              {frame("\xa1\x02hi"), "amqp:decode-error"},
			"a list that is too long":          {frame("\x00\x53\x11\xd0\xff\xff\xff\xff\x00\x00\x00\x01"), "amqp:decode-error"},
			"a second open":                    {rawOpen[8:], "amqp:illegal-state"},
			"no session":                       {frame("\x00\x53\x12\xc0\x06\x03\xa1\x01l\x43\x42"), "amqp:not-allowed"},
			"an attach whose name is a number": {frame(begin) + frame("\x00\x53\x12\xc0\x05\x03\x52\x07\x43\x42"), "amqp:decode-error"},
			"a handle beyond the maximum":      {frame(begin) + frame("\x00\x53\x12\xc0\x0a\x03\xa1\x01l\x70\x00\x01\x00\x00\x42"), "amqp:connection:framing-error"},
		} {
			nc := dialRaw(t, server, rawOpen+test.say)
			_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
			got := make([]byte, 4096)
			n := 0
			for !strings.Contains(string(got[:n]), test.condition) {
				m, err := nc.Read(got[n:])
				if n += m; err != nil {
					t.Errorf("%s: answered %q, %v; want %s", name, got[:n], err, test.condition)
					break
				}
			}
			_ = nc.Close()
		}
		mustPublish(t, good, nil, "after")
	})
}

func TestTokensOfAConnectionAreBounded(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		cbs := openNode(t, mustSession(t, server), "$cbs", "me")
		for i := range 1_001 {
			request := putToken(fmt.Sprintf("%s/events/Publishers/%d", memoryURL, i))
			request.Value = server.SharedAccessSignature("events", time.Hour)
			answer := cbs.call(t, request)
			if i < 1_000 {
				checkStatus(t, answer, 202, "Accepted", "")
			} else {
				checkStatus(t, answer, 403, "1000 audiences", "amqp:resource-limit-exceeded")
			}
		}
	})
}

// FuzzConnection sends arbitrary bytes to a server. The server must end the connection when the
// client does, and serve other clients.
func FuzzConnection(f *testing.F) {
	f.Add([]byte(rawOpen + frame("\x00\x53\x11\xc0\x07\x04\x40\x43\x52\x10\x52\x10")))
	f.Add([]byte("AMQP\x03\x01\x00\x00" + "\x00\x00\x00\x1a\x02\x01\x00\x00\x00\x53\x41\xc0\x0d\x01\xa3\x0aANONYMOUSx"))
	f.Add([]byte("AMQP\x02\x01\x00\x00\x16\x03\x01\x00\x05"))
	f.Add([]byte("GET /$servicebus/websocket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n\x82\x81xxxx9\x88\x80xxxx"))
	f.Fuzz(func(t *testing.T, say []byte) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Authentication: &emulator.Authentication{}})
		if err != nil {
			t.Fatal(err)
		}
		nc := dialRaw(t, server, string(say[:min(len(say), 1<<16)]))
		_ = nc.Close()
		other := dialRaw(t, server, rawOpen)
		if _, err := io.ReadFull(other, make([]byte, 8)); err != nil {
			t.Errorf("another client: %v", err)
		}
		_ = other.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// session begins a session of a separate client, in memory.
func session(t *testing.T, server *emulator.Server, config *amqp.Config) *amqp.Session {
	t.Helper()
	nc, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Client(t.Context(), nc, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Cut)
	s, err := conn.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAReceiverThatTakesLessThanTheEventIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		if err := server.Seed("events", "0", emulator.Event{Body: make([]byte, 5000)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		link, err := session(t, server, nil).Attach(ctx, &amqp.Attach{
			Name: "r", Role: amqp.RoleReceiver, MaxMessageSize: 4096, Target: &amqp.Target{}, Source: &amqp.Source{Address: "events/ConsumerGroups/$Default/Partitions/0"},
		})
		if err == nil { // The detach may come right after the attach.
			_, err = link.Receive(ctx)
		}
		if e, ok := errors.AsType[*amqp.Error](err); !ok || e.Condition != amqp.ErrorMessageSizeExceeded {
			t.Errorf("the receiver hears %v, want %s", err, amqp.ErrorMessageSizeExceeded)
		}
	})
}

func TestAnAttachWhoseAnswerDoesNotFitEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		s := session(t, server, &amqp.Config{MaxFrameSize: 512})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		// With this name the attach fits into 512 bytes. The answer is longer: it states the
		// largest message.
		_, err := s.Attach(ctx, &amqp.Attach{Name: strings.Repeat("n", 424), Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/Partitions/0"}})
		remote, ok := errors.AsType[*amqp.RemoteError](err)
		if !ok || remote.Frame != "end" || remote.Err.Condition != amqp.ErrorFrameSizeTooSmall {
			t.Errorf("Attach returned %v, want the session's end for %s", err, amqp.ErrorFrameSizeTooSmall)
		}
	})
}

func TestAReceiverWhoseSelectorIsTooLongToRepeatIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		link, err := session(t, server, &amqp.Config{MaxFrameSize: 32_768}).Attach(ctx, &amqp.Attach{
			Name: "r", Role: amqp.RoleReceiver, Target: &amqp.Target{},
			Source: &amqp.Source{
				Address: "events/ConsumerGroups/$Default/Partitions/0",
				// Quoted, each of these characters takes four.
				Filter: amqp.Map{{Key: amqp.Symbol("apache.org:selector-filter:string"), Value: strings.Repeat("\x01", 12_000)}},
			},
		})
		if err == nil { // The detach may come right after the attach.
			_, err = link.Receive(ctx)
		}
		if e, ok := errors.AsType[*amqp.Error](err); !ok || e.Condition != "com.microsoft:argument-error" || !strings.HasPrefix(e.Description, `the selector "\x01\x01`) {
			t.Errorf("the receiver hears %v, want com.microsoft:argument-error and the beginning of the selector", err)
		}
	})
}
