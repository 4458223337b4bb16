package emulator_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	internalamqp "github.com/go-eventhubs/eventhubs/internal/amqp"
)

// onFirst makes a hook that applies an action to the first operation of a kind.
func onFirst(kind emulator.Kind, action emulator.Action) emulator.Hook {
	var n atomic.Int32
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == kind && n.Add(1) == 1 {
			return action
		}
		return emulator.Pass()
	}
}

func TestFaultsThatHoldUpWhatComesLater(t *testing.T) {
	for _, test := range []struct {
		name   string
		kind   emulator.Kind
		action emulator.Action
		want   time.Duration // how long the second of two events takes; 0: forever
	}{
		{"stall for a while", emulator.KindTransfer, emulator.Pass().StallReading(30 * time.Second), 30 * time.Second},
		{"stall", emulator.KindTransfer, emulator.Pass().StallReading(0), 0},
		{"close the window for a while", emulator.KindTransfer, emulator.Pass().CloseWindow(30 * time.Second), 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, onFirst(test.kind, test.action), func(t *testing.T, server *emulator.Server) {
				sender := mustSender(t, server, "events/Partitions/0")
				if state, err := sendOne(t, sender); err != nil || !is[*amqp.StateAccepted](state) {
					t.Fatalf("the first event: %v, %v", state, err)
				}
				time.Sleep(time.Millisecond) // go-amqp receives the window
				begin := time.Now()
				_, err := sendOne(t, sender)
				switch got := time.Since(begin).Round(time.Second); {
				case test.want > 0 && (err != nil || got != test.want):
					t.Errorf("the second event: %v after %v, want %v", err, got, test.want)
				case test.want == 0 && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("the second event: %v after %v, want nothing", err, got)
				}
				if test.want == 0 && server.Counts("events", "0").Events != 1 {
					t.Error("the second event is stored")
				}
				// Other connections still work.
				if _, err := sendOne(t, mustSender(t, server, "events/Partitions/0")); err != nil {
					t.Errorf("another client: %v", err)
				}
			})
		})
	}
}

func TestClosuresOfTheWindowAddUp(t *testing.T) {
	var n atomic.Int32
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && n.Load() < 2 {
			return emulator.Pass().After(time.Millisecond).CloseWindow([]time.Duration{time.Second, time.Hour}[n.Add(1)-1])
		}
		return emulator.Pass()
	}
	inBubble(t, hook, func(t *testing.T, server *emulator.Server) {
		sender, begin := mustSender(t, server, "events/Partitions/0"), time.Now()
		for range 2 { // both are under way before the window closes
			if _, err := sender.SendWithReceipt(t.Context(), amqp.NewMessage([]byte("event")), nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Millisecond) // the client learns of both
		receipt, err := sender.SendWithReceipt(t.Context(), amqp.NewMessage([]byte("event")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if state, err := receipt.Wait(t.Context()); err != nil || !is[*amqp.StateAccepted](state) {
			t.Errorf("outcome %v, %v", state, err)
		}
		if got := time.Since(begin).Round(time.Second); got != time.Hour {
			t.Errorf("the window took a transfer after %v, want an hour", got)
		}
	})
}

// go-amqp does not notice that its context ends while the window is closed, so this test uses
// another client.
func TestTheWindowMayStayClosed(t *testing.T) {
	inBubble(t, onFirst(emulator.KindTransfer, emulator.Pass().CloseWindow(0)), func(t *testing.T, server *emulator.Server) {
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := internalamqp.Client(t.Context(), nc, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(nil) }()
		session, err := conn.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		link, err := session.Attach(t.Context(), &internalamqp.Attach{
			Name: "l", Role: internalamqp.RoleSender, Source: &internalamqp.Source{}, Target: &internalamqp.Target{Address: "events/Partitions/0"},
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{nil, context.DeadlineExceeded} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			d := &internalamqp.Delivery{Payload: []byte{0, 0x53, 0x75, 0xa0, 1, 'x'}}
			err := link.Send(ctx, d)
			if err == nil {
				_, err = d.Wait(ctx)
			}
			if !errors.Is(err, want) {
				t.Errorf("event %d: %v, want %v", i, err, want)
			}
			cancel()
		}
		if got := server.Counts("events", "0").Events; got != 1 {
			t.Errorf("%d events stored, want 1", got)
		}
	})
}

func TestAnIgnoredConnectionGivesItsPlaceBackWhenItsClientLeaves(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"close": func(nc net.Conn) { _ = nc.Close() },
		"cut":   func(nc net.Conn) { nc.(interface{ Cut() }).Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, on(emulator.KindConnection, emulator.Silence()), func(t *testing.T, server *emulator.Server) {
				nc, err := server.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := nc.Write(bytes.Repeat([]byte("hello"), 100_000)); err != nil {
					t.Errorf("writing to a server that ignores: %v", err)
				}
				_ = nc.SetReadDeadline(time.Now().Add(time.Hour))
				if n, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the server answered %d bytes, %v; want nothing", n, err)
				}
				if got := len(server.Snapshot().Connections); got != 1 {
					t.Errorf("%d connections while the client is there, want 1", got)
				}
				leave(nc)
				synctest.Wait()
				if got := len(server.Snapshot().Connections); got != 0 {
					t.Errorf("%d connections after the client has left, want 0", got)
				}
			})
		})
	}
	t.Run("the server closes", func(t *testing.T) {
		inBubble(t, on(emulator.KindConnection, emulator.Silence()), func(t *testing.T, server *emulator.Server) {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			begin := time.Now()
			_ = server.Close()
			if got := time.Since(begin); got != 0 {
				t.Errorf("closing the server took %v, want no time", got)
			}
			if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading after the server has closed: %v", err)
			}
		})
	})
}

func TestAConnectionMayStallFromItsBeginning(t *testing.T) {
	inBubble(t, onFirst(emulator.KindConnection, emulator.Pass().StallReading(time.Minute).CloseWindow(0).IgnoreDetach()), func(t *testing.T, server *emulator.Server) {
		conn, err := connect(t, server)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := conn.NewSession(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("a session after %v, want 1 min", got)
		}
	})
}

func TestDetachesMayBeLeftUnanswered(t *testing.T) {
	for _, kind := range []emulator.Kind{emulator.KindAttach, emulator.KindTransfer} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, onFirst(kind, emulator.Pass().IgnoreDetach()), func(t *testing.T, server *emulator.Server) {
				session := mustSession(t, server)
				for i, want := range []error{context.DeadlineExceeded, nil} {
					sender, err := session.NewSender(t.Context(), "events/Partitions/0", nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := sendOne(t, sender); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					if err := sender.Close(ctx); !errors.Is(err, want) {
						t.Errorf("closing link %d: %v, want %v", i, err, want)
					}
					cancel()
				}
			})
		})
	}
}

func TestClosesMayBeLeftUnanswered(t *testing.T) {
	inBubble(t, onFirst(emulator.KindConnection, emulator.Pass().IgnoreClose()), func(t *testing.T, server *emulator.Server) {
		for i, want := range []time.Duration{5 * time.Second, 0} {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := internalamqp.Client(t.Context(), nc, nil)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_ = conn.Close(nil) // gives up after 5 seconds
			if got := time.Since(begin); got != want {
				t.Errorf("closing connection %d took %v, want %v", i, got, want)
			}
		}
	})
}

func TestServerClosesInSpiteOfItsFaults(t *testing.T) {
	for name, action := range map[string]emulator.Action{
		"stalled": emulator.Pass().StallReading(0), "stalled for a while": emulator.Pass().StallReading(time.Hour),
		"ignoring": emulator.Pass().IgnoreClose(), "closed window": emulator.Pass().CloseWindow(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, on(emulator.KindAttach, action), func(t *testing.T, server *emulator.Server) {
				nc, err := server.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				conn, err := amqp.NewConn(t.Context(), nc, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
				if err != nil {
					t.Fatal(err)
				}
				session, err := conn.NewSession(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := session.NewSender(t.Context(), "events", nil); err != nil {
					t.Fatal(err)
				}
				closed := make(chan struct{})
				go func() { // ends with the server's help
					defer close(closed)
					_ = conn.Close()
				}()
				time.Sleep(time.Second)
				begin := time.Now()
				_ = server.Close()
				if got := time.Since(begin); got > 5*time.Second {
					t.Errorf("closing the server took %v", got)
				}
				<-closed
			})
		})
	}
}
