package scripted

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// Takes sets the service's answer to attaches. It refuses a claim with the error of refusal, if
// there is one. It gives each producer without a claim an id of its own: 77, 78 and so on.
func (n *NumberedHub) Takes(refusal func(claim connection.Claim) error) {
	id := int64(76)
	n.Reply = func(_ int, claim *connection.Claim) (connection.Identity, error) {
		if claim == nil {
			id++
			return connection.Identity{ProducerID: id}, nil
		}
		if err := refusal(*claim); err != nil {
			return connection.Identity{}, err
		}
		return connection.Identity{ProducerID: claim.ProducerID, Epoch: claim.Epoch, Sequence: n.Last}, nil
	}
}

// AttachRefused returns a refusal of the attach itself, with that code.
func AttachRefused(code connection.Code) error {
	return &connection.Error{Code: code, Transient: code == connection.CodeInternal, Refused: true, Err: errors.New("no such producer")}
}

// LoseLink ends the link while it is idle.
func (n *NumberedHub) LoseLink() {
	n.Mu.Lock()
	defer n.Mu.Unlock()
	n.Open = false
}

// A NumberedHub is a hub of one partition. The test chooses the service's answers to attaches,
// because public facts do not settle the real service's.
type NumberedHub struct {
	*Hub
	Reply func(attach int, claim *connection.Claim) (connection.Identity, error)

	Mu       sync.Mutex // guards the fields below
	claim    *connection.Claim
	Open     bool
	attaches int
	identity connection.Identity
	Last     int32    // the last number that the service knows
	sent     []string // every Send: the numbers of its events
	Answers  []connection.Result
}

func NewNumbered(t *testing.T) *NumberedHub {
	n := &NumberedHub{Hub: New(t, 1)}
	n.Reply = func(_ int, claim *connection.Claim) (connection.Identity, error) {
		if claim == nil {
			return connection.Identity{ProducerID: 77, Sequence: n.Last}, nil
		}
		return connection.Identity{ProducerID: claim.ProducerID, Epoch: claim.Epoch, Sequence: n.Last}, nil
	}
	return n
}

func (n *NumberedHub) Link(id string) testseam.Link {
	return &numberedLink{Link: Link{Peer: n.Hub, ID: id}, peer: n}
}

type numberedLink struct {
	Link
	peer *NumberedHub
}

func (l *numberedLink) Claim(c *connection.Claim) {
	l.peer.Mu.Lock()
	defer l.peer.Mu.Unlock()
	l.peer.claim = c
}

func (l *numberedLink) Detach() {
	l.peer.Mu.Lock()
	defer l.peer.Mu.Unlock()
	l.peer.Open = false
}

func (l *numberedLink) Identity() (connection.Identity, uint64) {
	l.peer.Mu.Lock()
	defer l.peer.Mu.Unlock()
	return l.peer.identity, uint64(l.peer.attaches)
}

func (l *numberedLink) Open(context.Context) error {
	n := l.peer
	n.Mu.Lock()
	defer n.Mu.Unlock()
	if n.Open {
		return nil
	}
	reply, err := n.Reply(n.attaches+1, n.claim)
	if err != nil {
		return err
	}
	n.attaches++
	n.identity, n.Open = reply, true
	return nil
}

// SendOn stores the next batch, unless the test has set an answer. An unknown outcome loses the
// link.
func (l *numberedLink) SendOn(_ context.Context, attach uint64, batch [][]byte) connection.Result {
	n := l.peer
	n.Mu.Lock()
	defer n.Mu.Unlock()
	if attach != uint64(n.attaches) || !n.Open {
		return connection.Result{Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true, Err: errors.New("another attach")}, Stale: true}
	}
	events := EventsIn(n.T, batch)
	first, last := carriedBy(n.T, events[0]), carriedBy(n.T, events[len(events)-1])
	n.sent = append(n.sent, fmt.Sprintf("%d:%d/%d-%d", first.id, first.epoch, first.number, last.number))
	r := connection.Result{Outcome: connection.Accepted}
	if len(n.Answers) > 0 {
		r, n.Answers = n.Answers[0], n.Answers[1:]
	}
	switch r.Outcome {
	case connection.Accepted:
		n.Last = last.number
	case connection.Unknown:
		n.Open = false
	}
	return r
}

// carried holds the numbers of an event.
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

func (n *NumberedHub) WantSent(want ...string) {
	n.T.Helper()
	synctest.Wait()
	n.Mu.Lock()
	defer n.Mu.Unlock()
	if fmt.Sprint(n.sent) != fmt.Sprint(want) {
		n.T.Errorf("sent were %v\nwant      %v", n.sent, want)
	}
}

var LostAcknowledgement = connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true, Err: errors.New("cut")}}
