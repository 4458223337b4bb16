package main

import (
	"context"
	"errors"
	"fmt"
)

// disturb publishes batches of 0.3 MB. While a batch whose number is a multiple of every is in
// flight, it calls happen. It publishes on until that number comes again, and waits then. It
// returns when all batches are accepted and happen has ended.
func (p *publisher) disturb(ctx context.Context, batches, every int, happen func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	happened := make(chan error, 1)
	happened <- nil
	for i := 1; i <= batches; i++ {
		batch := p.bed.batch(1000, 300)
		if i%every == 0 {
			if err := <-happened; err != nil {
				return err
			}
			// Ends with happen; awaited before the next one and at the end.
			go func() {
				err := happen(ctx)
				if err != nil {
					cancel(err) // no more tries
				}
				happened <- err
			}()
		}
		if err := p.publish(ctx, batch); err != nil {
			cancel(err) // happen may wait for a try
			return errors.Join(err, <-happened)
		}
	}
	return <-happened
}

// losses describes the failed tries.
func (p *publisher) losses() string {
	failed := 0
	for _, n := range p.codes {
		failed += n
	}
	return fmt.Sprintf("%s; %d tries failed, %d of them with an unknown outcome; %d batches arrived twice", p.volume(), failed, p.unknown, p.twice)
}

// closedLinks wants a link that the broker closes to be opened again, over the same connection.
func closedLinks(ctx context.Context, d *bed) (string, error) {
	p, beside := d.publisher("detached", "0"), d.publisher("detached", "1")
	for _, address := range []string{p.address, beside.address} {
		if err := d.read(ctx, address); err != nil {
			return "", err
		}
	}
	if err := beside.publishAll(ctx, 1, 1, 10); err != nil {
		return "", err
	}
	err := p.disturb(ctx, 100, 10, func(ctx context.Context) error {
		count, err := d.tell(ctx, "detach "+p.address)
		if err == nil && count != 1 {
			err = fmt.Errorf("the broker had %d links of ours to %s, want 1", count, p.address)
		}
		return err
	})
	err = errors.Join(err, p.finish(ctx), beside.finish(ctx), d.wantConnections(ctx, 1))
	return p.losses(), err
}

// lostConnections wants a connection that the broker closes, or that is cut, to be opened again.
func lostConnections(ctx context.Context, d *bed) (string, error) {
	ways := []string{"cut"}
	if d.relay == nil {
		ways = append(ways, "close")
	}
	if d.swallows {
		ways = append(ways, "swallow")
	}
	p := d.publisher("lost", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	lost := 0
	err := p.disturb(ctx, 120, 10, func(ctx context.Context) error {
		way := ways[lost%len(ways)]
		lost++
		count, err := d.tell(ctx, way)
		if err == nil && way != "swallow" && count != 1 {
			err = fmt.Errorf("the broker had %d connections of ours, want 1", count)
		}
		return err
	})
	err = errors.Join(err, p.finish(ctx), d.wantConnections(ctx, 1+lost))
	return p.losses(), err
}

// restartedBroker kills the broker while batches are in flight, and starts it again after a try has
// failed without it. All accepted batches must be there. They are read only afterwards.
func restartedBroker(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("restarted", "0")
	// Kills at 21 and 42. Tries must follow them.
	err := p.disturb(ctx, 60, 21, func(ctx context.Context) error {
		d.crash()
		if err := p.awaitFailure(ctx); err != nil {
			return err
		}
		return d.start(ctx)
	})
	if err != nil {
		return "", err
	}
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	err = p.finish(ctx)
	return p.losses(), err
}
