package idempotence

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A batch keeps its numbers after its first try. The reply to another attach may state the first
// number, an earlier one, none, or one that no client has sent.
func TestABatchOnceAttemptedKeepsItsNumbers(t *testing.T) {
	for name, sequence := range map[string]int32{"as at the first attach": 0, "stale": 1, "tracked": 2, "none": -1, "from nowhere": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted.NewNumbered(t)
				p := world.Numbered(n, eventhubs.Options{})
				world.Enqueue(t, p, "0", "a", "b")
				_ = p.Flush(t.Context())
				plain := n.Reply
				n.Reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
					id, err := plain(attach, claim)
					id.Sequence = sequence
					return id, err
				}
				n.Answers = []connection.Result{scripted.LostAcknowledgement, scripted.LostAcknowledgement}
				world.Enqueue(t, p, "0", "c", "d", "e")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				world.Enqueue(t, p, "0", "f")
				_ = p.Flush(t.Context())
				n.WantSent("77:0/1-2", "77:0/3-5", "77:0/3-5", "77:0/3-5", "77:0/6-6")
			})
		})
	}
}

// New events get the numbers after the last stored one, whatever number a reply states.
func TestAnotherAttachBetweenBatchesChangesNoNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		p := world.Numbered(n, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a", "b")
		_ = p.Flush(t.Context())
		n.Mu.Lock()
		// The link was lost while it was idle, and the service repeats its first number.
		n.Open, n.Last = false, 0
		n.Mu.Unlock()
		world.Enqueue(t, p, "0", "c")
		_ = p.Flush(t.Context())
		n.WantSent("77:0/1-2", "77:0/3-3")
	})
}

// A service may keep back the last number of a producer that returns with a higher epoch. Then no
// number is safe, and the producer asks for a new id.
func TestAServiceThatTellsNoLastNumberGetsANewProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		plain := n.Reply
		ids := int64(77)
		n.Reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
			id, err := plain(attach, claim)
			if claim == nil {
				id.ProducerID, id.Sequence = ids, -1
				ids++
			} else if claim.Epoch > 0 {
				id.Sequence = -1
			}
			return id, err
		}
		var log strings.Builder
		p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		wantANewProducer(n, p)
		if !strings.Contains(log.String(), "goes on as a new producer") {
			t.Errorf("the log is %s", log.String())
		}
	})
}

// A service may answer a claim with another identity, as one that ignores ids of clients. Batches
// that were sent keep the old identity. Later batches use the new one.
func TestAServiceThatIgnoresTheClaimIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		n.Reply = func(attach int, _ *connection.Claim) (connection.Identity, error) {
			return connection.Identity{ProducerID: int64(100 + attach)}, nil
		}
		p := world.Numbered(n, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.Answers = []connection.Result{scripted.LostAcknowledgement}
		world.Enqueue(t, p, "0", "b")
		_ = p.Flush(t.Context())
		world.Enqueue(t, p, "0", "c")
		_ = p.Flush(t.Context())
		n.WantSent("101:0/1-1", "101:0/2-2", "101:0/2-2", "102:0/1-1")
	})
}

// The service accepted a claim, and its reply was lost. The producer makes the same claim again.
func TestALostReplyToAnAttachClaimsTheSameEpochAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		plain := n.Reply
		var claims []string
		lost := true
		n.Reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
			if claim != nil && claim.Epoch > 0 {
				claims = append(claims, fmt.Sprint(claim.Epoch))
				if lost {
					lost = false
					return connection.Identity{}, &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: io.ErrUnexpectedEOF}
				}
			}
			return plain(attach, claim)
		}
		p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1, TryTimeout: time.Second}})
		n.Answers = []connection.Result{scripted.LostAcknowledgement, scripted.LostAcknowledgement}
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		world.Enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(claims) != "[1 1]" {
			t.Errorf("claimed were the epochs %v", claims)
		}
		n.WantSent("77:0/1-1", "77:0/1-1", "77:1/1-1")
	})
}

// wantANewProducer loses the acknowledgement of b and c. It checks that d is sent as the first event
// of a new producer.
func wantANewProducer(n *scripted.NumberedHub, p *eventhubs.BufferedProducer) {
	n.T.Helper()
	world.Enqueue(n.T, p, "0", "a")
	_ = p.Flush(n.T.Context())
	n.Answers = []connection.Result{scripted.LostAcknowledgement}
	world.Enqueue(n.T, p, "0", "b", "c")
	_ = p.Flush(n.T.Context())
	world.Enqueue(n.T, p, "0", "d")
	if err := p.Flush(n.T.Context()); err != nil {
		n.T.Error(err)
	}
	n.WantSent("77:0/1-1", "77:0/2-3", "78:0/1-1")
}
