package connection

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// offering makes servers with these offers, one for each dial, and a connection to them.
func offering(t *testing.T, offers ...[]amqp.Symbol) (c *Conn, dials *int, logins *[]amqp.Symbol, end func()) {
	t.Helper()
	var serving sync.WaitGroup
	dials, logins = new(int), new([]amqp.Symbol)
	c = New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := memnet.Pipe()
		offer := offers[min(*dials, len(offers)-1)]
		*dials++
		serving.Go(func() { // ends with the connection
			conn, err := amqp.Server(context.Background(), theirs, &amqp.Config{Mechanisms: offer})
			if err != nil {
				return
			}
			*logins = append(*logins, conn.SASL().Mechanism)
			<-conn.Done()
		})
		return ours, nil
	}})
	return c, dials, logins, func() {
		_ = c.Close(context.Background())
		serving.Wait()
	}
}

// TestAnotherMechanismIsTakenOnAnotherConnection: the first mechanism was sent before the server's
// offer.
func TestAnotherMechanismIsTakenOnAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, open := []amqp.Symbol{"PLAIN", "MSSBCBS"}, []amqp.Symbol{"ANONYMOUS"}
		c, dials, logins, end := offering(t, own, own, own, open)
		defer end()
		lose := func() {
			c.present().cut()
			synctest.Wait()
		}
		for _, want := range []struct {
			dials     int // in all
			mechanism string
		}{{2, "MSSBCBS"}, {3, "MSSBCBS"}, {5, "ANONYMOUS"}, {6, "ANONYMOUS"}} {
			if err := c.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := c.Mechanism(); *dials != want.dials || got != want.mechanism {
				t.Errorf("connected by %s with %d dials, want %s with %d", got, *dials, want.mechanism, want.dials)
			}
			lose()
		}
		if len(*logins) != 4 {
			t.Errorf("the servers have let in %v, want four logins", *logins)
		}
	})
}

// TestAServerThatOffersNothingOfOursIsDialledOnce: another connection would not help.
func TestAServerThatOffersNothingOfOursIsDialledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, dials, _, end := offering(t, []amqp.Symbol{"PLAIN"})
		defer end()
		e := wantCode(t, c.Connect(t.Context()), CodeConnectionLost)
		if refusal, ok := errors.AsType[*amqp.SASLError](e); !ok || !strings.HasSuffix(refusal.Error(), "the SASL mechanisms PLAIN, but not ANONYMOUS or MSSBCBS") || *dials != 1 {
			t.Errorf("error %v after %d dials, want one that names what is offered, and 1", e, *dials)
		}
	})
}

// TestAServerThatChangesItsOfferWithEachConnectionIsDialledTwice, and no more.
func TestAServerThatChangesItsOfferWithEachConnectionIsDialledTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, dials, _, end := offering(t, []amqp.Symbol{"MSSBCBS"}, []amqp.Symbol{"ANONYMOUS"}, []amqp.Symbol{"MSSBCBS"})
		defer end()
		if e := wantCode(t, c.Connect(t.Context()), CodeConnectionLost); *dials != 2 || !LetsNobodyIn(e) {
			t.Errorf("error %v after %d dials, want a refusal after 2", e, *dials)
		}
	})
}

// TestAPeerThatDoesNotAnswerABeginLosesTheConnection after the opening's time. Its keep-alive goes
// on.
func TestAPeerThatDoesNotAnswerABeginLosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var serving sync.WaitGroup
		defer serving.Wait()
		c := New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := memnet.Pipe()
			serving.Go(func() { // ends with the connection
				conn, err := amqp.Server(context.Background(), theirs, &amqp.Config{BeforeStart: func(c *amqp.Conn) { c.PauseReading() }})
				if err != nil {
					t.Error(err)
					return
				}
				<-conn.Done()
			})
			return ours, nil
		}})
		defer func() { _ = c.Close(context.Background()) }()
		start := time.Now()
		wantCode(t, c.Sender("hub", "0", "").Open(t.Context()), CodeTimeout)
		wantElapsed(t, start, openTimeout)
		if c.present() != nil {
			t.Error("the connection lives on")
		}
	})
}

// TestADialWithoutAnAnswerIsDialledAgain: the try goes on, and sees the end of an outage.
func TestADialWithoutAnAnswerIsDialledAgain(t *testing.T) {
	silent := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	noRoute := &net.OpError{Op: "dial", Err: errors.New("no route to host")} // the network's answer, after a while
	atOnce := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}          // a timeout that nothing has waited for
	for name, c := range map[string]struct {
		answers []error // the last one again and again
		dials   int
		want    error
	}{
		"an answer at last":    {[]error{silent, silent, nil}, 3, nil},
		"a refusal at last":    {[]error{silent, refused}, 2, refused},
		"no answer in the end": {[]error{silent}, 6, silent},
		"a late refusal":       {[]error{noRoute}, 1, noRoute},
		"a timeout at once":    {[]error{atOnce, silent}, 1, atOnce},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
			defer cancel()
			dials := 0
			_, err := redial(ctx, func() (net.Conn, error) {
				answer := c.answers[min(dials, len(c.answers)-1)]
				dials++
				if answer == silent || answer == noRoute {
					time.Sleep(tcpTimeout)
				}
				return nil, answer
			})
			if err != c.want || dials != c.dials {
				t.Errorf("%s: %v after %d dials, want %v after %d", name, err, dials, c.want, c.dials)
			}
		})
	}
}
