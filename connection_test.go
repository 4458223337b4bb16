package eventhubs_test

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
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
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
		"no namespace, of a credential": func() error { _, err := eventhubs.NewConnection("", fakeCredential(func() {}), nil); return err },
		"a key of a credential's": func() error {
			c, err := eventhubs.NewConnection("a.b", fakeCredential(func() {}), nil)
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
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
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
		p := newProducer(t, server, eventhubs.Options{Trace: &eventhubs.Trace{
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
			t.Errorf("told: %s", got)
		}
	})
}

func TestServiceAssignedEventsArriveThroughTheHubsOwnLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(4)})
		p := newProducer(t, server, eventhubs.Options{Partitioning: eventhubs.ServiceAssigned, MaxWaitTime: time.Millisecond})
		for i := range 8 {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"0", "1", "2", "3"} {
			if got := len(bodies(server, id)); got != 2 {
				t.Errorf("partition %s has %d events, want 2: the emulator takes its partitions in turn", id, got)
			}
		}
	})
}

func TestStatsTellWhatAPartitionWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			switch {
			case op.Kind == emulator.KindManagement:
				return emulator.Pass().After(time.Second)
			case op.Kind == emulator.KindAttach && op.PartitionID != "":
				return emulator.WithholdCredit(10 * time.Second).After(5 * time.Second)
			case op.Kind == emulator.KindTransfer:
				return emulator.Pass().AnswerAfter(5 * time.Second)
			}
			return emulator.Pass()
		}})
		p := newProducer(t, server, eventhubs.Options{MaxWaitTime: 500 * time.Millisecond})
		if err := p.Enqueue(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		var waited []string
		for range 25 {
			time.Sleep(time.Second)
			synctest.Wait()
			for _, part := range p.Stats().Partitions {
				if w := part.Waiting.String(); len(waited) == 0 || waited[len(waited)-1] != w {
					waited = append(waited, w)
				}
			}
		}
		if got := strings.Join(waited, ", "); got != "for the link, for credit, for the service, not waiting" && got != "for the list of partitions, for the link, for credit, for the service, not waiting" {
			t.Errorf("the partition waited %s", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStatsTellTheLargestMessageOfEachLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(2), MaxMessageSize: 20 << 20})
		p := newProducer(t, server, eventhubs.Options{})
		for _, links := range []bool{false, true} {
			if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: links}); err != nil {
				t.Fatal(err)
			}
			want := map[bool]int{false: 0, true: 20 << 20}[links]
			for _, part := range p.Stats().Partitions {
				if part.MaxMessageSize != want {
					t.Errorf("links open: %v: partition %s takes %d bytes, want %d", links, part.ID, part.MaxMessageSize, want)
				}
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
