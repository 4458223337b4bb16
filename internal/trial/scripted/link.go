package scripted

import (
	"context"
	"errors"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

type Link struct {
	Peer *Hub
	ID   string
}

func (l *Link) Open(ctx context.Context) error {
	if l.Peer.Open != nil {
		if err := l.Peer.Open(l.ID); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Identity answers for a service that gives each producer the identity that it claims.
func (l *Link) Identity() (connection.Identity, uint64) {
	return connection.Identity{ProducerID: 1}, 1
}
func (l *Link) Claim(*connection.Claim) {}
func (l *Link) Detach()                 {}
func (l *Link) SendOn(ctx context.Context, _ uint64, batch [][]byte) connection.Result {
	return l.Send(ctx, batch)
}
func (l *Link) IsOpen() bool           { return false } // so that every try calls Open
func (l *Link) WaitingForCredit() bool { return false }
func (l *Link) MaxMessageSize() uint64 {
	l.Peer.Mu.Lock()
	defer l.Peer.Mu.Unlock()
	return l.Peer.MaxMessage
}

func (l *Link) Send(ctx context.Context, batch [][]byte) connection.Result {
	p := l.Peer
	s := Sent{Partition: l.ID, Batch: batch, Try: 1}
	for _, e := range EventsIn(p.T, batch) {
		s.Bodies = append(s.Bodies, BodyOf(p.T, e))
		s.Bytes += SectionSize(len(e))
	}
	p.Mu.Lock()
	for _, earlier := range p.sends {
		if earlier.Partition == s.Partition && earlier.Bodies[0] == s.Bodies[0] {
			s.Try++
		}
	}
	s.At = Now()
	p.sends = append(p.sends, s)
	answer := p.Answer
	p.Mu.Unlock()

	if p.Latency != nil {
		select {
		case <-time.After(p.Latency()):
		case <-p.Cut:
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
		p.Store(s)
	}
	return r
}
