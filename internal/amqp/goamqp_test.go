package amqp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// The tests of this file run go-amqp, another implementation, as the client of our server.

// dial connects go-amqp to a server of ours.
func dial(t *testing.T, cfg *amqp.Config) (*goamqp.Conn, *amqp.Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	served := make(chan *amqp.Conn, 1)
	go func() { // ends with the handshake
		c, err := amqp.Server(t.Context(), b, cfg)
		if err != nil {
			t.Error("Server:", err)
		}
		served <- c
	}()
	client, err := goamqp.NewConn(t.Context(), a, &goamqp.ConnOptions{HostName: "h:5672", SASLType: goamqp.SASLTypeAnonymous(), IdleTimeout: 30 * time.Second})
	server := <-served
	if err != nil || server == nil {
		t.Fatal("go-amqp:", err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		<-server.Done()
	})
	return client, server
}

// accept accepts links until the connection ends, and runs handle with each, which must end with
// the link.
func accept(t *testing.T, server *amqp.Conn, reply *amqp.Attach, handle func(l *amqp.Link)) {
	go func() { // ends with the connection, which dial's cleanup waits for
		for {
			l, err := server.AcceptLink(context.Background())
			if err != nil {
				return
			}
			if err := l.Accept(reply); err != nil {
				t.Error("Accept:", err)
				return
			}
			go handle(l) // ends with the link
		}
	}()
}

func newSender(t *testing.T, c *goamqp.Conn) *goamqp.Sender {
	t.Helper()
	s, err := c.NewSession(t.Context(), nil)
	if err != nil {
		t.Fatal("NewSession:", err)
	}
	sender, err := s.NewSender(t.Context(), "hub/Partitions/0", &goamqp.SenderOptions{SettlementMode: goamqp.SenderSettleModeMixed.Ptr()})
	if err != nil {
		t.Fatal("NewSender:", err)
	}
	return sender
}

func TestGoAMQPSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, nil)
		outcomes := map[string]amqp.DeliveryState{
			"accepted": amqp.Accepted{}, "released": amqp.Released{}, "modified": amqp.Modified{DeliveryFailed: true},
			"rejected": amqp.Rejected{Error: &amqp.Error{Condition: "com.microsoft:server-busy", Description: "wait"}},
		}
		accept(t, server, &amqp.Attach{MaxMessageSize: 1 << 20}, func(l *amqp.Link) {
			_ = l.Credit(3)
			for {
				d, err := l.Receive(context.Background())
				if err != nil {
					return
				}
				m, err := amqp.ParseMessage(d.Payload)
				if err != nil {
					t.Error("ParseMessage:", err)
				}
				if err := d.Settle(outcomes[*m.Properties.Subject]); err != nil {
					t.Error("Settle:", err)
				}
			}
		})
		sender := newSender(t, client)
		if got := sender.MaxMessageSize(); got != 1<<20 {
			t.Errorf("maximum message size %d", got)
		}
		for name := range outcomes {
			m := goamqp.NewMessage([]byte("body"))
			m.Format = 0x80013700
			m.Properties = &goamqp.MessageProperties{Subject: &name}
			receipt, err := sender.SendWithReceipt(t.Context(), m, nil)
			if err != nil {
				t.Fatal("SendWithReceipt:", err)
			}
			state, err := receipt.Wait(t.Context())
			if err != nil {
				t.Fatal("Wait:", err)
			}
			if got, want := fmt.Sprintf("%T", state), map[string]string{
				"accepted": "*encoding.StateAccepted", "released": "*encoding.StateReleased", "modified": "*encoding.StateModified", "rejected": "*encoding.StateRejected",
			}[name]; got != want {
				t.Errorf("%s: got %s", name, got)
			}
			if r, ok := state.(*goamqp.StateRejected); ok && (r.Error.Condition != "com.microsoft:server-busy" || r.Error.Description != "wait") {
				t.Errorf("rejected with %v", r.Error)
			}
		}
	})
}

func TestGoAMQPSendsMegabytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, nil)
		got := make(chan *amqp.Delivery, 20)
		accept(t, server, &amqp.Attach{MaxMessageSize: 1 << 21}, func(l *amqp.Link) {
			_ = l.Credit(2)
			for {
				d, err := l.Receive(context.Background())
				if err != nil {
					return
				}
				_ = d.Settle(amqp.Accepted{})
				got <- d
			}
		})
		sender := newSender(t, client)
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		var receipts []goamqp.SendReceipt
		for range 20 { // 340 frames
			m := goamqp.NewMessage(body)
			r, err := sender.SendWithReceipt(t.Context(), m, nil)
			if err != nil {
				t.Fatal("SendWithReceipt:", err)
			}
			receipts = append(receipts, r)
		}
		for _, r := range receipts {
			if _, err := r.Wait(t.Context()); err != nil {
				t.Error("Wait:", err)
			}
			m, err := amqp.ParseMessage((<-got).Payload)
			if err != nil || !bytes.Equal(m.Data[0], body) {
				t.Errorf("message differs, error %v", err)
			}
		}
	})
}

func TestGoAMQPReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1200 // several times its credit
		client, server := dial(t, nil)
		accept(t, server, nil, func(l *amqp.Link) {
			for i := range n {
				body := fmt.Append(nil, i)
				if i == 700 {
					body = bytes.Repeat([]byte("x"), 1<<20)
				}
				m := amqp.Message{Annotations: amqp.Map{{Key: "x-opt-sequence-number", Value: int64(i)}}, Data: [][]byte{body}}
				b, err := m.AppendTo(nil)
				if err == nil {
					err = l.Send(context.Background(), &amqp.Delivery{Settled: true, Payload: b})
				}
				if err != nil {
					t.Error("Send:", err)
					return
				}
			}
		})
		s, err := client.NewSession(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.NewReceiver(t.Context(), "hub/ConsumerGroups/$Default/Partitions/0", &goamqp.ReceiverOptions{Credit: 300})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m, err := r.Receive(t.Context(), nil)
			if err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if m.Annotations["x-opt-sequence-number"] != int64(i) {
				t.Fatalf("message %d: annotations %v", i, m.Annotations)
			}
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error("Close:", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error("Close:", err)
		}
	})
}

func TestGoAMQPDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, nil)
		accept(t, server, nil, func(l *amqp.Link) {
			m := amqp.Message{Data: [][]byte{[]byte("only")}}
			b, _ := m.AppendTo(nil)
			_ = l.Send(context.Background(), &amqp.Delivery{Payload: b})
		})
		s, err := client.NewSession(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.NewReceiver(t.Context(), "hub", &goamqp.ReceiverOptions{Credit: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.IssueCredit(5); err != nil {
			t.Fatal(err)
		}
		m, err := r.Receive(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.AcceptMessage(t.Context(), m); err != nil {
			t.Error("AcceptMessage:", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.DrainCredit(ctx, nil); err != nil {
			t.Error("DrainCredit:", err)
		}
	})
}

func TestGoAMQPSeesWhyThingsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, nil)
		links := make(chan *amqp.Link, 1)
		go func() { // ends after three links
			refused, err := server.AcceptLink(t.Context())
			if err == nil {
				err = refused.Refuse(&amqp.Error{Condition: amqp.ErrorNotFound, Description: "no such hub"})
			}
			if err != nil {
				t.Error(err)
			}
			for range 2 {
				l, err := server.AcceptLink(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				_ = l.Accept(nil)
				links <- l
			}
		}()
		s, err := client.NewSession(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.NewSender(t.Context(), "nothing", nil)
		if e, ok := errors.AsType[*goamqp.Error](err); !ok || e.Condition != goamqp.ErrCondNotFound {
			t.Errorf("refused: %v", err)
		}

		sender := newSender(t, client)
		if err := (<-links).Detach(&amqp.Error{Condition: amqp.ErrorDetachForced, Description: "idle"}); err != nil {
			t.Fatal(err)
		}
		_, err = sender.SendWithReceipt(t.Context(), goamqp.NewMessage(nil), nil)
		if e, ok := errors.AsType[*goamqp.LinkError](err); !ok || e.RemoteErr == nil || e.RemoteErr.Condition != goamqp.ErrCondDetachForced {
			t.Errorf("detached: %v", err)
		}

		_ = newSender(t, client)
		(<-links).Session().End(&amqp.Error{Condition: amqp.ErrorInternal})
		_ = server.Close(&amqp.Error{Condition: amqp.ErrorConnectionForced, Description: "upgrade"})
		<-client.Done()
		if e, ok := errors.AsType[*goamqp.ConnError](client.Err()); !ok || e.RemoteErr == nil || e.RemoteErr.Condition != goamqp.ErrCondConnectionForced {
			t.Errorf("closed: %v", client.Err())
		}
	})
}

func TestGoAMQPAndWeKeepAnIdleConnectionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, &amqp.Config{IdleTimeout: time.Minute})
		time.Sleep(time.Hour)
		if server.Err() != nil {
			t.Errorf("server: %v", server.Err())
		}
		if _, err := client.NewSession(t.Context(), nil); err != nil {
			t.Errorf("client: %v", err)
		}
	})
}

func TestGoAMQPUsesHundredsOfSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := dial(t, nil)
		accept(t, server, nil, func(l *amqp.Link) {
			_ = l.Credit(1)
			if d, err := l.Receive(context.Background()); err == nil {
				_ = d.Settle(amqp.Accepted{})
			}
		})
		for range 3 {
			var sessions []*goamqp.Session
			for range 100 {
				s, err := client.NewSession(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				sender, err := s.NewSender(t.Context(), "hub", nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := sender.Send(t.Context(), goamqp.NewMessage([]byte("x")), nil); err != nil {
					t.Fatal(err)
				}
				sessions = append(sessions, s)
			}
			for _, s := range sessions {
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
