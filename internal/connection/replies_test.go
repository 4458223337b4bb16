package connection

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A respondent is a peer whose $management answers as configured.
type respondent struct {
	status    any           // the status code
	number    func(int) any // numbers in the answer
	unsettled bool          // replies are not settled
	early     bool          // a reply comes a minute before its request's outcome
	outcome   amqp.DeliveryState

	mu      sync.Mutex // guards the fields below
	settled int        // replies that the client has settled
}

// serve answers the requests of one connection until it ends.
func (r *respondent) serve(nc net.Conn) error {
	ctx := context.Background()
	conn, err := amqp.Server(ctx, nc, nil)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	var replies *amqp.Link
	var requests *amqp.Link
	for {
		l, err := conn.AcceptLink(ctx)
		if err != nil {
			return nil
		}
		if err := l.Accept(nil); err != nil {
			return err
		}
		if l.Role() == amqp.RoleSender {
			replies = l
		} else {
			requests = l
			if err := l.Credit(10); err != nil {
				return err
			}
		}
		if replies != nil && requests != nil {
			from, to := requests, replies
			requests, replies = nil, nil
			wg.Go(func() { // ends with the links
				for r.answer(ctx, &wg, from, to) {
				}
			})
		}
	}
}

// answer answers one request; false if the link is over.
func (r *respondent) answer(ctx context.Context, wg *sync.WaitGroup, from, to *amqp.Link) bool {
	d, err := from.Receive(ctx)
	if err != nil {
		return false
	}
	request, err := amqp.ParseMessage(d.Payload)
	if err != nil {
		return false
	}
	reply := amqp.Message{
		Properties:            &amqp.Properties{CorrelationID: request.Properties.MessageID},
		ApplicationProperties: amqp.Map{{Key: "status-code", Value: r.status}, {Key: "status-description", Value: "OK"}},
		HasValue:              true,
		Value: amqp.Map{
			{Key: "name", Value: "hub"}, {Key: "partition", Value: "0"}, {Key: "partition_ids", Value: []string{"0"}},
			{Key: "begin_sequence_number", Value: r.number(7)}, {Key: "last_enqueued_sequence_number", Value: r.number(9)},
			{Key: "georeplication_factor", Value: r.number(2)},
		},
	}
	payload, err := reply.AppendTo(nil)
	if err != nil {
		return false
	}
	settle := func() { _ = d.Settle(r.outcome) }
	if !r.early {
		settle()
	}
	sent := &amqp.Delivery{Payload: payload, Settled: !r.unsettled}
	if to.Send(ctx, sent) != nil {
		return false
	}
	if r.unsettled {
		wg.Go(func() { // ends with the settlement or the link
			if state, _ := sent.Wait(ctx); state == (amqp.Accepted{}) {
				r.mu.Lock()
				r.settled++
				r.mu.Unlock()
			}
		})
	}
	if r.early {
		wg.Go(func() { // ends a minute later
			time.Sleep(time.Minute)
			settle()
		})
	}
	return true
}

// withRespondent runs a test in a bubble against r.
func withRespondent(t *testing.T, r *respondent, test func(t *testing.T, c *Conn)) {
	t.Helper()
	if r.status == nil {
		r.status = int32(200)
	}
	if r.number == nil {
		r.number = func(n int) any { return int64(n) }
	}
	if r.outcome == nil {
		r.outcome = amqp.Accepted{}
	}
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		defer wg.Wait()
		c := New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := memnet.Pipe()
			wg.Go(func() { // ends with the connection
				if err := r.serve(theirs); err != nil {
					t.Error(err)
				}
			})
			return ours, nil
		}})
		defer func() { _ = c.Close(context.Background()) }()
		test(t, c)
	})
}

func TestRepliesThatComeUnsettledAreSettledAndDoNotUseUpTheCredit(t *testing.T) {
	const requests = 3 * 100 // credits
	r := &respondent{unsettled: true}
	withRespondent(t, r, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i := range requests {
			if _, err := c.HubProperties(ctx, "hub"); err != nil {
				t.Fatalf("request %d: %v", i+1, err)
			}
		}
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.settled != requests {
			t.Errorf("%d replies are settled, want %d", r.settled, requests)
		}
	})
}

func TestAReplyBeforeItsRequestsOutcomeCounts(t *testing.T) {
	for _, outcome := range []amqp.DeliveryState{amqp.Accepted{}, amqp.Released{}} {
		withRespondent(t, &respondent{early: true, outcome: outcome}, func(t *testing.T, c *Conn) {
			start := time.Now()
			for range 3 {
				if _, err := c.HubProperties(t.Context(), "hub"); err != nil {
					t.Errorf("the reply came before %v: %v", outcome, err)
				}
			}
			wantElapsed(t, start, 0)
			time.Sleep(2 * time.Minute) // the outcomes come, and do no harm
			if _, err := c.HubProperties(t.Context(), "hub"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNumbersInRepliesMayHaveAnyWidth(t *testing.T) {
	widths := []func(int) any{
		func(n int) any { return int8(n) }, func(n int) any { return int16(n) }, func(n int) any { return int32(n) }, func(n int) any { return int64(n) },
		func(n int) any { return uint8(n) }, func(n int) any { return uint16(n) }, func(n int) any { return uint32(n) }, func(n int) any { return uint64(n) },
	}
	for _, width := range widths {
		name := fmt.Sprintf("%T", width(0))
		status := width(100) // a signed byte holds no more
		if name != "int8" {
			status = width(200)
		}
		withRespondent(t, &respondent{status: status, number: width}, func(t *testing.T, c *Conn) {
			p, err := c.PartitionProperties(t.Context(), "hub", "0")
			if name == "int8" {
				if err == nil || !strings.Contains(err.Error(), "status 100") {
					t.Errorf("%s: %v, want status 100", name, err)
				}
				return
			}
			if err != nil || p.BeginningSequenceNumber != 7 || p.LastEnqueuedSequenceNumber != 9 {
				t.Errorf("%s: %+v, %v; want 7 to 9", name, p, err)
			}
			hub, err := c.HubProperties(t.Context(), "hub")
			if err != nil || !hub.GeoReplicationEnabled {
				t.Errorf("%s: %+v, %v; want geo-replication", name, hub, err)
			}
		})
	}
}
