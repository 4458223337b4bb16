package connection

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

// from is a source in partition 0, after a sequence number.
func from(sequenceNumber int) Source {
	return Source{testHub, emulator.DefaultConsumerGroup, "0", "amqp.annotation.x-opt-sequence-number > '" + strconv.Itoa(sequenceNumber) + "'"}
}

// odd is an event with values that go-amqp does not know.
func odd(t *testing.T) []byte {
	t.Helper()
	m := amqp.Message{Data: [][]byte{[]byte("odd")}, ApplicationProperties: amqp.Map{{Key: "d", Value: amqp.Decimal128{0x30, 0x40}}, {Key: "c", Value: amqp.Char('ü')}}}
	encoded, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// A testReceiver takes the events of a Receiver one by one.
type testReceiver struct {
	*Receiver
	come [][]byte
}

func openReceiver(t *testing.T, c *Conn, source Source) (*testReceiver, error) {
	t.Helper()
	r, err := c.Receiver(t.Context(), source)
	return &testReceiver{Receiver: r}, err
}

// wantNext reads an event and compares it with its sender's encoding.
func wantNext(t *testing.T, r *testReceiver, want []byte) {
	t.Helper()
	if len(r.come) == 0 {
		come, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.come = slices.Clone(come)
	}
	got := r.come[0]
	r.come = r.come[1:]
	// The service's own annotations precede it.
	if !bytes.HasSuffix(got, want) {
		t.Errorf("got %q, want %q behind the annotations", got, want)
	}
}

func TestAReceiverReadsWhatGoAMQPCannot(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		events := [][]byte{event("before"), odd(t), event("after")}
		s := b.Sender(testHub, "0", "")
		for _, e := range events {
			if result := s.Send(t.Context(), BatchOf(e)); result.Err != nil {
				t.Fatal(result.Err)
			}
		}
		for begin := range events {
			r, err := openReceiver(t, b.Conn, from(begin-1))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events[begin:] {
				wantNext(t, r, e)
			}
			r.Close()
		}
	})
}

func TestAReceiverGoesOnForHours(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		r, err := openReceiver(t, b.Conn, from(-1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 3 * receiveCredit { // so that credit is renewed too
			time.Sleep(time.Minute)
			if err := b.server.Seed(testHub, "0", emulator.Event{Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			wantNext(t, r, []byte("x"))
		}
	})
}

// Events whose memory is not used again are not kept either: they may be large.
func TestAReceiverKeepsNoEventOfAnEarlierCall(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		r, err := openReceiver(t, b.Conn, from(-1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, count := range []int{5, 1} {
			if err := b.server.Seed(testHub, "0", make([]emulator.Event, count)...); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if events, err := r.NextLent(t.Context()); err != nil || len(events) != count {
				t.Fatalf("got %d events, %v, want %d", len(events), err, count)
			}
		}
		for i, d := range r.deliveries[1:5] {
			if d != nil {
				t.Errorf("delivery %d of the earlier call is kept", i+1)
			}
		}
	})
}

// A link whose token has expired is ended by the service. A receiver waits for hours on one link.
func TestAReceiverRenewsItsTokenWhileItWaits(t *testing.T) {
	attached := 0 // of one connection, whose operations come one at a time
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" {
			attached++
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: hook, Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "rule", Value: "key", Rights: emulator.RightListen}},
	}}, func(t *testing.T, b *bench) {
		r, err := openReceiver(t, b.Conn, from(-1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 3 {
			time.Sleep(3 * KeyTokenLifetime)
			if err := b.server.Seed(testHub, "0", emulator.Event{Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			wantNext(t, r, []byte("x"))
		}
		if attached != 1 {
			t.Errorf("attached %d times, want once", attached)
		}
	})
}

func TestAReceiverSaysWhyItCannotRead(t *testing.T) {
	source := func(change func(*Source)) Source { s := from(-1); change(&s); return s }
	for name, test := range map[string]struct {
		options emulator.Options
		config  func(*Config)
		source  Source
		want    Code
	}{
		"no such hub":   {source: source(func(s *Source) { s.Hub = "nowhere" }), want: CodeNotFound},
		"no such group": {source: source(func(s *Source) { s.ConsumerGroup = "nobody" }), want: CodeNotFound},
		"selector":      {source: source(func(s *Source) { s.Selector = "what?" }), want: CodeRejected},
		"wrong key":     {options: emulator.Options{Authentication: &emulator.Authentication{}}, source: from(-1), want: CodeUnauthorized},
		"no token":      {config: func(c *Config) { c.Tokens = TokensFromCredential(nil) }, source: from(-1), want: CodeNoToken},
		"nobody listens": {config: func(c *Config) {
			c.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		}, source: from(-1), want: CodeConnectionLost},
		"connections are cut": {options: emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action { return emulator.Cut() }}, source: from(-1), want: CodeConnectionLost},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.options, func(t *testing.T, b *bench) {
				cfg := b.cfg
				if test.config != nil {
					test.config(&cfg)
				}
				c := New(cfg)
				defer func() { _ = c.Close(context.Background()) }()
				_, err := openReceiver(t, c, test.source)
				if e, ok := errors.AsType[*Error](err); !ok || e.Code != test.want {
					t.Errorf("got %v, want the code %s", err, test.want)
				}
			})
		})
	}
}

func TestAReceiverEndsWithItsConnectionItsLinkOrItsContext(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		for name, test := range map[string]struct {
			end  func(cancel context.CancelFunc)
			want Code
		}{
			"connection": {func(context.CancelFunc) { b.server.CutAll() }, CodeConnectionLost},
			"context":    {func(cancel context.CancelFunc) { cancel() }, CodeCanceled},
		} {
			r, err := openReceiver(t, b.Conn, from(-1))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { // ends with the reader; the test waits for it
				_, err := r.Next(ctx)
				ended <- err
			}()
			synctest.Wait()
			test.end(cancel)
			if e, ok := errors.AsType[*Error](<-ended); !ok || e.Code != test.want {
				t.Errorf("%s: got %v, want the code %s", name, e, test.want)
			}
			cancel()
			r.Close()
		}
	})
}

// A caller that stops waiting must not cut the connection, which others use.
func TestACallerThatGivesUpDisturbsNoOtherReceiver(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		r, err := openReceiver(t, b.Conn, from(-1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = b.Receiver(gone, from(-1))
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeCanceled {
			t.Errorf("got %v, want the code %s", err, CodeCanceled)
		}
		synctest.Wait()
		open := 0 // also the one that came too late must be closed
		for _, reader := range b.server.Snapshot().Hubs[0].Partitions[0].Readers {
			open += len(reader.Receivers)
		}
		if open != 1 {
			t.Errorf("%d receivers are open, want the first one", open)
		}
		if err := b.server.Seed(testHub, "0", emulator.Event{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		wantNext(t, r, []byte("x"))
	})
}

// In normal use: verified tokens, TLS, and WebSocket over TLS.
func TestAReceiverReadsOverEveryTransport(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Authentication: &emulator.Authentication{}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.Seed("events", "0", emulator.Event{Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	properties, err := azeventhubs.ParseConnectionString(server.ConnectionString(""))
	if err != nil {
		t.Fatal(err)
	}
	config := server.TLSConfig()
	base := Config{Namespace: properties.FullyQualifiedNamespace, Tokens: TokensFromKey(*properties.SharedAccessKeyName, *properties.SharedAccessKey)}
	for name, change := range map[string]func(*Config){
		"plain": func(c *Config) { c.Plain = true },
		"TLS":   func(c *Config) { c.TLSConfig = config },
		"WebSocket": func(c *Config) {
			c.NewWebSocketConn = (&websocketconn.Dialer{TLSConfig: &tls.Config{RootCAs: config.RootCAs}}).Dial
		},
	} {
		cfg := base
		change(&cfg)
		c := New(cfg)
		r, err := openReceiver(t, c, from(-1))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			wantNext(t, r, []byte("x"))
		}
		_ = c.Close(context.Background())
	}
}
