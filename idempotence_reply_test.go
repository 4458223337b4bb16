package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A numberedPeer is a hub of one partition whose service answers attaches as the test has it: public facts do not settle how the real one does.
type numberedPeer struct {
	*peer
	reply func(attach int, claim *connection.Claim) (connection.Identity, error)

	mu       sync.Mutex // guards the fields below
	claim    *connection.Claim
	open     bool
	attaches int
	identity connection.Identity
	last     int32    // the number that the service knows
	sent     []string // every Send: the numbers of its events
	answers  []connection.Result
}

func newNumberedPeer(t *testing.T) *numberedPeer {
	n := &numberedPeer{peer: newPeer(t, 1)}
	n.reply = func(_ int, claim *connection.Claim) (connection.Identity, error) {
		if claim == nil {
			return connection.Identity{ProducerID: 77, Sequence: n.last}, nil
		}
		return connection.Identity{ProducerID: claim.ProducerID, Epoch: claim.Epoch, Sequence: n.last}, nil
	}
	return n
}

func (n *numberedPeer) producer(o Options) *BufferedProducer {
	n.t.Helper()
	o.EnableIdempotentRetries, o.Retry.RetryDelay = true, -1
	o, err := o.withDefaults()
	if err != nil {
		n.t.Fatal(err)
	}
	o.Logger = cmp.Or(o.Logger, unlogged)
	p := newProducer("test.example", "hub", n, o)
	n.t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func (n *numberedPeer) Link(id string) link {
	return &numberedLink{peerLink: peerLink{peer: n.peer, id: id}, peer: n}
}

type numberedLink struct {
	peerLink
	peer *numberedPeer
}

func (l *numberedLink) Claim(c *connection.Claim) {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	l.peer.claim = c
}

func (l *numberedLink) Detach() {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	l.peer.open = false
}

func (l *numberedLink) Identity() (connection.Identity, uint64) {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	return l.peer.identity, uint64(l.peer.attaches)
}

func (l *numberedLink) Open(context.Context) error {
	n := l.peer
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open {
		return nil
	}
	reply, err := n.reply(n.attaches+1, n.claim)
	if err != nil {
		return err
	}
	n.attaches++
	n.identity, n.open = reply, true
	return nil
}

// SendOn stores what comes next, unless there is an answer in stock. An outcome that is not known loses the link.
func (l *numberedLink) SendOn(_ context.Context, attach uint64, batch [][]byte) connection.Result {
	n := l.peer
	n.mu.Lock()
	defer n.mu.Unlock()
	if attach != uint64(n.attaches) || !n.open {
		return connection.Result{Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true, Err: errors.New("another attach")}, Stale: true}
	}
	events := eventsIn(n.t, batch)
	first, last := carriedBy(n.t, events[0]), carriedBy(n.t, events[len(events)-1])
	n.sent = append(n.sent, fmt.Sprintf("%d:%d/%d-%d", first.id, first.epoch, first.number, last.number))
	r := connection.Result{Outcome: connection.Accepted}
	if len(n.answers) > 0 {
		r, n.answers = n.answers[0], n.answers[1:]
	}
	switch r.Outcome {
	case connection.Accepted:
		n.last = last.number
	case connection.Unknown:
		n.open = false
	}
	return r
}

// carried are the numbers of an event.
type carried struct {
	id     int64
	epoch  int16
	number int32
}

func carriedBy(t *testing.T, encoded []byte) (c carried) {
	t.Helper()
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Fatalf("an event with numbers does not decode: %v", err)
	}
	var ok [3]bool
	id, _ := m.Annotations.Get("com.microsoft:producer-id")
	epoch, _ := m.Annotations.Get("com.microsoft:producer-epoch")
	number, _ := m.Annotations.Get("com.microsoft:producer-sequence-number")
	c.id, ok[0] = id.(int64)
	c.epoch, ok[1] = epoch.(int16)
	c.number, ok[2] = number.(int32)
	if ok != [3]bool{true, true, true} {
		t.Fatalf("the annotations are a %T, a %T and a %T, want a long, a short and an int", id, epoch, number)
	}
	return c
}

func (n *numberedPeer) wantSent(want ...string) {
	n.t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if fmt.Sprint(n.sent) != fmt.Sprint(want) {
		n.t.Errorf("sent were %v\nwant      %v", n.sent, want)
	}
}

var lostAcknowledgement = connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true, Err: errors.New("cut")}}

// A batch once attempted keeps its numbers, whatever the reply to another attach says of the last one: the number that was told at first, one from before, none, or one
// that no client has ever sent.
func TestABatchOnceAttemptedKeepsItsNumbers(t *testing.T) {
	for name, sequence := range map[string]int32{"as at the first attach": 0, "stale": 1, "tracked": 2, "none": -1, "from nowhere": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNumberedPeer(t)
				p := n.producer(Options{})
				enqueue(t, p, "0", "a", "b")
				_ = p.Flush(t.Context())
				plain := n.reply
				n.reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
					id, err := plain(attach, claim)
					id.Sequence = sequence
					return id, err
				}
				n.answers = []connection.Result{lostAcknowledgement, lostAcknowledgement}
				enqueue(t, p, "0", "c", "d", "e")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				enqueue(t, p, "0", "f")
				_ = p.Flush(t.Context())
				n.wantSent("77:0/1-2", "77:0/3-5", "77:0/3-5", "77:0/3-5", "77:0/6-6")
			})
		})
	}
}

// What has not been sent yet is numbered behind what is stored, not by what a reply says about it.
func TestAnotherAttachBetweenBatchesChangesNoNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		p := n.producer(Options{})
		enqueue(t, p, "0", "a", "b")
		_ = p.Flush(t.Context())
		n.mu.Lock()
		n.open, n.last = false, 0 // the link was lost while it was idle, and the service tells what it was told at first
		n.mu.Unlock()
		enqueue(t, p, "0", "c")
		_ = p.Flush(t.Context())
		n.wantSent("77:0/1-2", "77:0/3-3")
	})
}

// A service that does not tell the last number of a producer that comes back with a higher epoch leaves no number that would be safe: the producer is a new one.
func TestAServiceThatTellsNoLastNumberGetsANewProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		plain := n.reply
		ids := int64(77)
		n.reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
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
		p := n.producer(Options{Retry: RetryOptions{MaxRetries: -1}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.answers = []connection.Result{lostAcknowledgement}
		enqueue(t, p, "0", "b", "c")
		_ = p.Flush(t.Context())
		enqueue(t, p, "0", "d")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.wantSent("77:0/1-1", "77:0/2-3", "78:0/1-1")
		if !strings.Contains(log.String(), "goes on as a new producer") {
			t.Errorf("the log is %s", log.String())
		}
	})
}

// A service may answer a claim with another identity, as one that knows nothing of ids that clients state. What was sent keeps its own; what comes then takes over the new one.
func TestAServiceThatIgnoresTheClaimIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		n.reply = func(attach int, _ *connection.Claim) (connection.Identity, error) {
			return connection.Identity{ProducerID: int64(100 + attach)}, nil
		}
		p := n.producer(Options{})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.answers = []connection.Result{lostAcknowledgement}
		enqueue(t, p, "0", "b")
		_ = p.Flush(t.Context())
		enqueue(t, p, "0", "c")
		_ = p.Flush(t.Context())
		n.wantSent("101:0/1-1", "101:0/2-2", "101:0/2-2", "102:0/1-1")
	})
}

// A claim whose attach took effect though its reply was lost is made again as it was.
func TestALostReplyToAnAttachClaimsTheSameEpochAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		plain := n.reply
		var claims []string
		lost := true
		n.reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
			if claim != nil && claim.Epoch > 0 {
				claims = append(claims, fmt.Sprint(claim.Epoch))
				if lost {
					lost = false
					return connection.Identity{}, &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: io.ErrUnexpectedEOF}
				}
			}
			return plain(attach, claim)
		}
		p := n.producer(Options{Retry: RetryOptions{MaxRetries: 1, TryTimeout: time.Second}})
		n.answers = []connection.Result{lostAcknowledgement, lostAcknowledgement}
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(claims) != "[1 1]" {
			t.Errorf("claimed were the epochs %v", claims)
		}
		n.wantSent("77:0/1-1", "77:0/1-1", "77:1/1-1")
	})
}
