package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestProducersShareAConnectionThatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections atomic.Int64
		server := emulatortest.New(t, &emulator.Options{
			Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "a", Partitions: 2}, {Name: "b", Partitions: 2}},
			Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindConnection {
					connections.Add(1)
				}
				return emulator.Pass()
			},
		})
		connection, err := eventhubs.NewConnectionFromConnectionString(server.ConnectionString(""), &eventhubs.ConnectionOptions{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			for _, hub := range []string{"a", "b"} {
				p, err := connection.NewBufferedProducer(hub, nil)
				if err != nil {
					t.Fatal(err)
				}
				for range 10 {
					if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(hub)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Errorf("round %d: Close of a producer: %v", round, err)
				}
			}
		}
		if a, b := server.Counts("a", "").Events, server.Counts("b", "").Events; a != 30 || b != 30 || connections.Load() != 1 {
			t.Errorf("%d and %d events came over %d connections, want 30, 30 and 1", a, b, connections.Load())
		}
		if err := connection.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestASharedConnectionIsCheckedLikeAnOwnOne(t *testing.T) {
	c, err := eventhubs.NewConnectionFromConnectionString("Endpoint=sb://a.b;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	fromSAS, err := eventhubs.NewConnectionFromConnectionString("Endpoint=sb://a.b;SharedAccessSignature=SharedAccessSignature sr=a&sig=YWJjZA%3D%3D&se=1893456000&skn=n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fromSAS.ReplaceSAS("SharedAccessSignature sr=a&sig=ZWZnaA%3D%3D&se=1893456000&skn=n"); err != nil {
		t.Errorf("a signature of a connection string is not replaced: %v", err)
	}
	if p, err := c.NewBufferedProducer("", nil); err != nil || p.EventHubName() != "orders" {
		t.Errorf("the hub of the string: %v", err)
	}
	for name, make := range map[string]func() error{
		"another hub": func() error { _, err := c.NewBufferedProducer("audit", nil); return err },
		"options twice": func() error {
			_, err := c.NewBufferedProducer("", &eventhubs.Options{Connection: eventhubs.ConnectionOptions{ApplicationID: "x"}})
			return err
		},
		"a bad option": func() error {
			_, err := c.NewBufferedProducer("", &eventhubs.Options{MaxBufferedBytes: -1})
			return err
		},
		"no namespace":                  func() error { _, err := eventhubs.NewConnectionFromKey("", "n", "k", nil); return err },
		"no key name":                   func() error { _, err := eventhubs.NewConnectionFromKey("a.b", "", "k", nil); return err },
		"no key":                        func() error { _, err := eventhubs.NewConnectionFromKey("a.b", "n", "", nil); return err },
		"no signature":                  func() error { _, err := eventhubs.NewConnectionFromSAS("a.b", "sig", nil); return err },
		"no credential":                 func() error { _, err := eventhubs.NewConnection("a.b", nil, nil); return err },
		"replace a key":                 func() error { return fromSAS.ReplaceKey("n", "k") },
		"no namespace, of a credential": func() error { _, err := eventhubs.NewConnection("", world.FakeCredential(func() {}), nil); return err },
		"a key of a credential's": func() error {
			c, err := eventhubs.NewConnection("a.b", world.FakeCredential(func() {}), nil)
			if err != nil {
				return err
			}
			return c.ReplaceKey("n", "k")
		},
		"replace what not": func() error { return c.ReplaceSAS("SharedAccessSignature sr=x") },
	} {
		if err := make(); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("%s: %v, want ErrInvalidArgument", name, err)
		}
	}
	fromKey, err := eventhubs.NewConnectionFromKey("a.b", "n", "c2VjcmV0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fromKey.ReplaceKey("n2", "b3RoZXI="); err != nil {
		t.Error(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, fromKey); strings.Contains(text, "c2VjcmV0") || strings.Contains(text, "b3RoZXI=") {
			t.Errorf("%s shows the key", format)
		}
	}
}

func TestTheTraceIsToldOfTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan bool, 1)
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				select {
				case <-cut:
					return emulator.Cut()
				default:
				}
			}
			return emulator.Pass()
		}})
		var mu sync.Mutex
		var lines []string
		add := func(line string) { mu.Lock(); defer mu.Unlock(); lines = append(lines, line) }
		p := world.NewProducer(t, server, eventhubs.Options{Trace: &eventhubs.Trace{
			Connected:    func(eventhubs.TracedConnection) { add("connected") },
			Disconnected: func(c eventhubs.TracedConnection) { add(fmt.Sprintf("disconnected, error: %v", c.Err != nil)) },
		}})
		cut <- true
		if _, err := p.Publish(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lines, "; "); got != "connected; disconnected, error: true; connected; disconnected, error: false" {
			t.Errorf("outcomes: %s", got)
		}
	})
}
