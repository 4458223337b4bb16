// Package scripted is an event hub without a network. It stores the batches that a producer sends,
// after a latency, unless the test answers otherwise. It does not import package eventhubs, so that
// the tests inside that package can use it.
package scripted

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// Unlogged is the Logger of tests that expect faults.
var Unlogged = slog.New(slog.DiscardHandler)

// A Hub stores the batches that it gets, after a latency, unless the test's script answers
// otherwise.
type Hub struct {
	T          *testing.T
	Partitions []string
	MaxMessage uint64
	Latency    func() time.Duration
	Open       func(partition string) error // of a link; nil: it opens

	Expires time.Time
	Aloud   bool // a producer without a Logger logs to slog.Default

	Mu     sync.Mutex // guards the fields below
	List   func(call int) error
	Answer func(s Sent) connection.Result // nil: accepted
	Asked  int
	sends  []Sent // every Send, in the order of arrival
	Stored map[string][]string
	opened chan struct{} // nil until the first call of Opened
	Closed bool
	Cut    chan struct{} // closed by Close
}

// A Sent is one call of Send.
type Sent struct {
	Partition string
	Batch     [][]byte // the producer's memory
	Bodies    []string
	Bytes     int
	At        time.Duration // since the hub was made
	Try       int           // of a batch with this first event
}

func New(t *testing.T, partitions int) *Hub {
	p := &Hub{T: t, MaxMessage: 1 << 20, Stored: map[string][]string{}, Cut: make(chan struct{})}
	for i := range partitions {
		p.Partitions = append(p.Partitions, fmt.Sprint(i))
	}
	return p
}

func (p *Hub) Properties(ctx context.Context) (connection.HubProperties, error) {
	p.Mu.Lock()
	p.Asked++
	call, properties := p.Asked, p.List
	p.Mu.Unlock()
	if properties != nil {
		if err := properties(call); err != nil {
			return connection.HubProperties{}, err
		}
	}
	return connection.HubProperties{Name: "hub", PartitionIDs: p.Partitions}, ctx.Err()
}

func (p *Hub) PartitionProperties(_ context.Context, id string) (connection.PartitionProperties, error) {
	return connection.PartitionProperties{PartitionID: id}, nil
}

func (p *Hub) TokenExpires() time.Time { return p.Expires }

// Opened is called once for each try. Reopen closes the channel.
func (p *Hub) Opened() <-chan struct{} {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	if p.opened == nil {
		p.opened = make(chan struct{})
	}
	return p.opened
}

// Reopen signals that a connection was opened.
func (p *Hub) Reopen() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	close(p.opened)
	p.opened = nil
}

func (p *Hub) Link(id string) testseam.Link { return &Link{Peer: p, ID: id} }

func (p *Hub) Close(context.Context) error {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	if !p.Closed {
		p.Closed = true
		close(p.Cut)
	}
	return nil
}

func (p *Hub) Store(s Sent) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.Stored[s.Partition] = append(p.Stored[s.Partition], s.Bodies...)
}

func (p *Hub) StoredIn(partition string) []string {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return slices.Clone(p.Stored[partition])
}

// Sent returns the calls of Send so far.
func (p *Hub) Sent() []Sent {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return slices.Clone(p.sends)
}

// WantSends checks the time and content of each call of Send so far: "250ms 0 [a b]" is one call.
func (p *Hub) WantSends(why string, want ...string) {
	p.T.Helper()
	synctest.Wait()
	var got []string
	for _, s := range p.Sent() {
		got = append(got, fmt.Sprintf("%v %s %v", s.At, s.Partition, s.Bodies))
	}
	if !slices.Equal(got, want) {
		p.T.Errorf("%s:\n got %s\nwant %s", why, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// Now returns the virtual time since the bubble began. Each bubble begins at midnight, 2000-01-01
// UTC.
func Now() time.Duration { return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }

// TriesOf returns the times at which the hub got batches of a partition.
func (p *Hub) TriesOf(partition string) (at []time.Duration) {
	for _, s := range p.Sent() {
		if s.Partition == partition {
			at = append(at, s.At)
		}
	}
	return at
}
