package connection

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
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

// wantNext reads an event and compares it with its sender's encoding.
func wantNext(t *testing.T, r *Reader, want []byte) {
	t.Helper()
	got, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The service's own annotations precede it.
	if !bytes.HasSuffix(got, want) {
		t.Errorf("got %q, want %q behind the annotations", got, want)
	}
}

func TestAReaderReadsWhatGoAMQPCannot(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		events := [][]byte{event("before"), odd(t), event("after")}
		s := b.Sender(testHub, "0", "")
		for _, e := range events {
			if result := s.Send(t.Context(), BatchOf(e)); result.Err != nil {
				t.Fatal(result.Err)
			}
		}
		for begin := range events {
			r, err := OpenReader(t.Context(), b.cfg, from(begin-1))
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

func TestAReaderGoesOnForHours(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		r, err := OpenReader(t.Context(), b.cfg, from(-1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 3 * readCredit { // so that credit is renewed too
			time.Sleep(time.Minute)
			if err := b.server.Seed(testHub, "0", emulator.Event{Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			wantNext(t, r, []byte("x"))
		}
	})
}

func TestAReaderSaysWhyItCannotRead(t *testing.T) {
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
				r, err := OpenReader(t.Context(), cfg, test.source)
				if err == nil {
					defer r.Close()
				}
				if e, ok := errors.AsType[*Error](err); !ok || e.Code != test.want {
					t.Errorf("got %v, want the code %s", err, test.want)
				}
			})
		})
	}
}

func TestAReaderEndsWithItsConnectionItsLinkOrItsContext(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		for name, test := range map[string]struct {
			end  func(cancel context.CancelFunc)
			want Code
		}{
			"connection": {func(context.CancelFunc) { b.server.CutAll() }, CodeConnectionLost},
			"context":    {func(cancel context.CancelFunc) { cancel() }, CodeCanceled},
		} {
			r, err := OpenReader(t.Context(), b.cfg, from(-1))
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

// In normal use: verified tokens, TLS, and WebSocket over TLS.
func TestAReaderReadsOverEveryTransport(t *testing.T) {
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
		r, err := OpenReader(t.Context(), cfg, from(-1))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantNext(t, r, []byte("x"))
		r.Close()
	}
}
