package eventhubs

import (
	"context"
	"fmt"
	"math"
	"time"
)

// openFor opens the partition's link for a batch, unless it is open. It waits no longer than the
// timeout, or until no further try begins. For an idempotent producer it also finds out whether the
// service has stored a batch that was sent before.
func (p *partition) openFor(b *batch, timeout time.Duration) (stored bool, err error) {
	if p.identity == nil && p.link.IsOpen() {
		p.noteLargest()
		return false, p.lifetime.over()
	}
	ctx, cancel := context.WithTimeout(p.lifetime.tries, timeout)
	defer cancel()
	p.phase.Store(int32(WaitingForLink))
	if p.identity == nil {
		return false, p.openLink(ctx)
	}
	if err := p.identity.take(ctx); err != nil {
		return false, &Error{Code: CodeTimeout, PartitionID: p.id, Transient: true, Err: fmt.Errorf("waiting for Connect, which opens the partition's link: %w", err)}
	}
	defer p.identity.release()
	if err := p.openLink(ctx); err != nil {
		return false, err
	}
	if p.lane != nil {
		if stored, err := p.skipStored(b); stored || err != nil {
			return stored, err
		}
	}
	sent := b.attach
	b.attach = p.identity.attach
	if b.numbered {
		// An old reply says nothing about a batch that was sent after it, since numbers come round.
		return sent != b.attach && p.identity.stored(b), nil
	}
	b.numbers = p.identity.next
	return false, nil
}

// connect opens the partition's link before its first batch does.
func (p *partition) connect(ctx context.Context) error {
	if p.identity != nil {
		if err := p.identity.take(ctx); err != nil {
			return err
		}
		defer p.identity.release()
	}
	return p.openLink(ctx)
}

// openLink opens the link and notes how large a message it takes. With an identity its caller holds
// the turn.
func (p *partition) openLink(ctx context.Context) error {
	open := p.link.Open
	if p.identity != nil {
		open = p.identity.open
	}
	if err := open(ctx); err != nil {
		return err
	}
	p.noteLargest()
	return nil
}

// noteLargest notes how large a message the link takes.
func (p *partition) noteLargest() {
	largest := p.link.MaxMessageSize()
	if largest == 0 || largest > math.MaxInt {
		largest = math.MaxInt // no limit, or one that no batch can reach
	}
	switch p.linkMax.Swap(int64(largest)) {
	case int64(largest):
		return
	case 0:
		p.directory.openLinks.Add(1)
	}
	p.learned.Store(unlimited) // another limit, or the first: what was learned is over
}
