package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// The harness of the tests in virtual time: a hub without a network, scripted by the test. Put actual tests in the files that are named after
// what they test.

// unlogged is the Logger of tests that expect faults.
var unlogged = slog.New(slog.DiscardHandler)

// A peer is a hub that stores what it is sent, after a latency, unless the test's script answers something else.
type peer struct {
	t          *testing.T
	partitions []string
	maxMessage uint64
	latency    func() time.Duration
	open       func(partition string) error // of a link; nil: it opens

	tokenExpires time.Time
	aloud        bool // what a producer has no Logger for goes to slog.Default

	mu         sync.Mutex // guards the fields below
	properties func(call int) error
	answer     func(s sent) connection.Result // nil: accepted
	asked      int
	sends      []sent // every Send, in the order of their arrival
	stored     map[string][]string
	opened     chan struct{} // nil until somebody asked
	closed     bool
	cut        chan struct{} // closed by Close
}

// A sent is one call of Send.
type sent struct {
	partition string
	batch     [][]byte // the producer's memory
	bodies    []string
	bytes     int
	at        time.Duration // since the peer was made
	try       int           // of a batch with this first event
}

func newPeer(t *testing.T, partitions int) *peer {
	p := &peer{t: t, maxMessage: 1 << 20, stored: map[string][]string{}, cut: make(chan struct{})}
	for i := range partitions {
		p.partitions = append(p.partitions, fmt.Sprint(i))
	}
	return p
}

// producer returns a producer for the peer's hub, closed when the test ends unless the test has done so. Without a Logger it logs nothing, unless the peer is aloud.
func (p *peer) producer(options Options) *BufferedProducer {
	p.t.Helper()
	if options.Logger == nil && !p.aloud {
		options.Logger = unlogged
	}
	o, err := options.withDefaults()
	if err != nil {
		p.t.Fatal(err)
	}
	producer := newProducer("test.example", "hub", p, o)
	p.t.Cleanup(func() {
		if !producer.IsClosed() {
			_ = producer.Close(context.Background())
		}
	})
	return producer
}

func (p *peer) Properties(ctx context.Context) (connection.HubProperties, error) {
	p.mu.Lock()
	p.asked++
	call, properties := p.asked, p.properties
	p.mu.Unlock()
	if properties != nil {
		if err := properties(call); err != nil {
			return connection.HubProperties{}, err
		}
	}
	return connection.HubProperties{Name: "hub", PartitionIDs: p.partitions}, ctx.Err()
}

func (p *peer) PartitionProperties(_ context.Context, id string) (connection.PartitionProperties, error) {
	return connection.PartitionProperties{PartitionID: id}, nil
}

func (p *peer) TokenExpires() time.Time { return p.tokenExpires }

// Opened is called once for each try; reopen closes what it returned.
func (p *peer) Opened() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened == nil {
		p.opened = make(chan struct{})
	}
	return p.opened
}

// reopen is somebody's success to open a connection.
func (p *peer) reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.opened)
	p.opened = nil
}

func (p *peer) Link(id string) link { return &peerLink{peer: p, id: id} }

func (p *peer) Close(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.cut)
	}
	return nil
}

type peerLink struct {
	peer *peer
	id   string
}

func (l *peerLink) Open(ctx context.Context) error {
	if l.peer.open != nil {
		if err := l.peer.open(l.id); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Identity is that of a service which gives every producer the identity that it claims.
func (l *peerLink) Identity() (connection.Identity, uint64) {
	return connection.Identity{ProducerID: 1}, 1
}
func (l *peerLink) Claim(*connection.Claim) {}
func (l *peerLink) Detach()                 {}
func (l *peerLink) SendOn(ctx context.Context, _ uint64, batch [][]byte) connection.Result {
	return l.Send(ctx, batch)
}
func (l *peerLink) IsOpen() bool           { return false } // so that Open is asked each time
func (l *peerLink) WaitingForCredit() bool { return false }
func (l *peerLink) MaxMessageSize() uint64 {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	return l.peer.maxMessage
}

// eventsIn takes a batch apart, as a service does.
func eventsIn(t testing.TB, batch [][]byte) (events [][]byte) {
	t.Helper()
	var message []byte
	for _, piece := range batch {
		message = append(message, piece[amqp.FrameRoom:]...)
	}
	for s, err := range amqp.Sections(message) {
		if err != nil || s.Code != amqp.SectionData {
			t.Fatalf("a batch has a section of code 0x%x, or a broken one: %v", s.Code, err)
		}
		events = append(events, s.Raw[sectionHead(len(s.Raw)):])
	}
	return events
}

func (l *peerLink) Send(ctx context.Context, batch [][]byte) connection.Result {
	p := l.peer
	s := sent{partition: l.id, batch: batch, try: 1}
	for _, e := range eventsIn(p.t, batch) {
		s.bodies = append(s.bodies, bodyOf(p.t, e))
		s.bytes += sectionSize(len(e))
	}
	p.mu.Lock()
	for _, earlier := range p.sends {
		if earlier.partition == s.partition && earlier.bodies[0] == s.bodies[0] {
			s.try++
		}
	}
	s.at = now()
	p.sends = append(p.sends, s)
	answer := p.answer
	p.mu.Unlock()

	if p.latency != nil {
		select {
		case <-time.After(p.latency()):
		case <-p.cut:
			return connection.Result{Outcome: connection.Unknown, Err: errors.New("cut")}
		case <-ctx.Done():
			return connection.Result{Outcome: connection.Unknown, Err: ctx.Err()}
		}
	}
	r := connection.Result{Outcome: connection.Accepted}
	if answer != nil {
		r = answer(s)
	}
	if r.Outcome == connection.Accepted {
		p.store(s)
	}
	return r
}

func (p *peer) store(s sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored[s.partition] = append(p.stored[s.partition], s.bodies...)
}

func (p *peer) storedIn(partition string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.stored[partition])
}

// sent returns the calls of Send so far.
func (p *peer) sent() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sends)
}

// wantSends checks when and with what Send was called so far: "250ms 0 [a b]" is one call.
func (p *peer) wantSends(why string, want ...string) {
	p.t.Helper()
	synctest.Wait()
	var got []string
	for _, s := range p.sent() {
		got = append(got, fmt.Sprintf("%v %s %v", s.at, s.partition, s.bodies))
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("%s:\n got %s\nwant %s", why, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// now is the virtual time since the bubble began: all bubbles begin at midnight, 2000-01-01 UTC.
func now() time.Duration { return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }

func bodyOf(t *testing.T, encoded []byte) string {
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Errorf("an event on the wire does not decode: %v", err)
		return ""
	}
	return string(slices.Concat(m.Data...))
}

func event(body string) *Event { return &Event{Body: []byte(body)} }

// With is an event with the route of another one, and its ExpiresAt, Delivery and Tag; nil has none.
func With(e, o *Event) *Event {
	if o == nil {
		return e
	}
	out := *e
	out.PartitionID, out.PartitionKey = cmp.Or(o.PartitionID, e.PartitionID), cmp.Or(o.PartitionKey, e.PartitionKey)
	out.ExpiresAt, out.Delivery, out.Tag = o.ExpiresAt, o.Delivery, o.Tag
	return &out
}

// enqueue fails the test if an event is not accepted.
func enqueue(t *testing.T, p *BufferedProducer, partition string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := p.Enqueue(t.Context(), &Event{Body: []byte(body), PartitionID: partition}); err != nil {
			t.Errorf("Enqueue(%q): %v", body, err)
		}
	}
}

// outcomes records what the handlers are told.
type outcomes struct {
	mu   sync.Mutex
	told []told
}

type told struct {
	partition string
	bodies    []string
	outcome   Outcome
	at        time.Duration
}

func (o *outcomes) handle(_ context.Context, b *Batch) {
	t := told{partition: b.PartitionID, outcome: b.Outcome, at: now()}
	for e := range b.Events() {
		t.bodies = append(t.bodies, string(e.Body))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, t)
}

func (o *outcomes) all() []told {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// transient is the result of a try that ended without a settled failure.
func transient(outcome connection.Outcome) connection.Result {
	return connection.Result{Outcome: outcome, Err: &connection.Error{Code: connection.CodeConnectionLost, Err: errors.New("the line is cut"), Transient: true}}
}

// refused is the result of a try that the service has refused for good.
func refused(why string) connection.Result {
	return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{
		Code: connection.CodeRejected, Condition: "amqp:not-allowed", Description: why, Err: errors.New(why)}}
}
