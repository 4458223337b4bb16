// Package scripted is an event hub without a network. It stores what a producer sends, after a latency,
// unless the test answers something else. It does not import package eventhubs, so that the tests inside
// that package can use it.
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

// A Hub is a hub that stores what it is sent, after a latency, unless the test's script answers something else.
type Hub struct {
	T          *testing.T
	Partitions []string
	MaxMessage uint64
	Latency    func() time.Duration
	Open       func(partition string) error // of a link; nil: it opens

	Expires time.Time
	Aloud   bool // what a producer has no Logger for goes to slog.Default

	Mu     sync.Mutex // guards the fields below
	List   func(call int) error
	Answer func(s Sent) connection.Result // nil: accepted
	Asked  int
	sends  []Sent // every Send, in the order of their arrival
	Stored map[string][]string
	opened chan struct{} // nil until somebody asked
	Closed bool
	Cut    chan struct{} // closed by Close
}

// A Sent is one call of Send.
type Sent struct {
	Partition string
	Batch     [][]byte // the producer's memory
	Bodies    []string
	Bytes     int
	At        time.Duration // since the peer was made
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

// Opened is called once for each try; reopen closes what it returned.
func (p *Hub) Opened() <-chan struct{} {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	if p.opened == nil {
		p.opened = make(chan struct{})
	}
	return p.opened
}

// Reopen is somebody's success to open a connection.
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

// WantSends checks when and with what Send was called so far: "250ms 0 [a b]" is one call.
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

// Now is the virtual time since the bubble began: all bubbles begin at midnight, 2000-01-01 UTC.
func Now() time.Duration { return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }

// TriesOf returns when the peer was sent the batches of a partition.
func (p *Hub) TriesOf(partition string) (at []time.Duration) {
	for _, s := range p.Sent() {
		if s.Partition == partition {
			at = append(at, s.At)
		}
	}
	return at
}
