package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// retryPause is the pause before each try of a batch from the third on.
const retryPause = 50 * time.Millisecond

// A publisher publishes to one address and remembers the batches.
type publisher struct {
	bed     *bed
	hub     string
	address string
	sender  *connection.Sender
	again   []connection.Code // codes after which publish tries again
	sent    []sent
	bytes   int
	unknown int                     // tries without a known outcome
	twice   int                     // surplus arrivals because of unknown outcomes
	codes   map[connection.Code]int // failed tries by code
	failed  chan struct{}           // of one element; full after a failed try
}

func (d *bed) publisher(hub, partition string) *publisher {
	address := addressOf(hub, partition)
	if d.flat {
		hub, partition = hub+"-"+partition, ""
		address = hub
	}
	return &publisher{
		bed: d, hub: hub, address: address,
		sender: d.conn.Sender(hub, partition, "interop"),
		again:  []connection.Code{connection.CodeConnectionLost},
		codes:  make(map[connection.Code]int),
		failed: make(chan struct{}, 1),
	}
}

// try sends a batch once.
func (p *publisher) try(ctx context.Context, batch [][]byte, unknown int) connection.Result {
	r := p.sender.Send(ctx, connection.BatchOf(batch...))
	switch r.Outcome {
	case connection.Accepted:
		c := contentOf(p.bed.format(), batch)
		p.sent = append(p.sent, sent{c, unknown})
		p.bytes += c.bytes
	case connection.Unknown:
		p.unknown++
	}
	if e, ok := errors.AsType[*connection.Error](r.Err); ok {
		p.codes[e.Code]++
	}
	if r.Outcome != connection.Accepted {
		select {
		case p.failed <- struct{}{}:
		default:
		}
	}
	return r
}

// awaitFailure waits for a try that fails after the call. Another goroutine publishes.
func (p *publisher) awaitFailure(ctx context.Context) error {
	select {
	case <-p.failed: // an earlier one
	default:
	}
	select {
	case <-p.failed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no try to %s has failed without the broker: %w", p.address, context.Cause(ctx))
	}
}

// publish sends a batch until it is accepted. It gives up after a failure that is not in again.
func (p *publisher) publish(ctx context.Context, batch [][]byte) error {
	for unknown, tries := 0, 1; ; tries++ {
		r := p.try(ctx, batch, unknown)
		if r.Outcome == connection.Accepted {
			return nil
		}
		if e, ok := errors.AsType[*connection.Error](r.Err); !ok || !slices.Contains(p.again, e.Code) {
			return fmt.Errorf("batch %d to %s: %v: %w", len(p.sent), p.address, r.Outcome, r.Err)
		}
		if r.Outcome == connection.Unknown {
			unknown++
		}
		if tries > 1 {
			timer := time.NewTimer(retryPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return fmt.Errorf("batch %d to %s: %w", len(p.sent), p.address, errors.Join(context.Cause(ctx), r.Err))
			}
		}
	}
}

// publishAll publishes so many batches of so many events of a size.
func (p *publisher) publishAll(ctx context.Context, batches, events, size int) error {
	for range batches {
		if err := p.publish(ctx, p.bed.batch(events, size)); err != nil {
			return err
		}
	}
	return nil
}

// finish publishes a last batch, waits until it has been read, and judges all arrivals.
func (p *publisher) finish(ctx context.Context) error {
	if err := p.publishAll(ctx, 1, 1, 8); err != nil {
		return err
	}
	last := p.sent[len(p.sent)-1].content
	got, err := p.bed.ledger.read(ctx, p.address, func(all []content) bool {
		return len(all) > 0 && all[len(all)-1] == last
	})
	p.twice = len(got) - len(p.sent)
	return errors.Join(err, judge(p.sent, got))
}

// volume describes how much was published.
func (p *publisher) volume() string {
	return fmt.Sprintf("%d batches, %.1f MB", len(p.sent), float64(p.bytes)/1e6)
}
