package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// throttleDelay is how long the service asks to wait when it is busy ("Please wait 4 seconds and try again").
const throttleDelay = 4 * time.Second

// send is a sender: it delivers b and then whatever else is ready, one batch at a time from end to end, until nothing is.
func (p *partition) send(b *batch) {
	for b != nil {
		p.deliver(b)
		p.mu.Lock()
		if b = p.nextLocked(); b == nil {
			p.senders--
		}
		p.mu.Unlock()
	}
}

// deliver tries the batch until it has its outcome, and settles it.
func (p *partition) deliver(b *batch) {
	b.sent = time.Now()
	for failures := 0; ; {
		result, err := p.try(b)
		switch {
		case err != nil:
			p.settle(b, p.failed(b, err))
			return
		case result.Outcome == connection.Accepted:
			p.settle(b, Outcome{Storage: Stored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)})
			return
		}
		p.troubled.Store(true)
		delay, again := p.pause(result, &failures)
		if !again || !p.rest(b, delay) {
			p.settle(b, p.failed(b, failure(result.Err, p.id, failures)))
			return
		}
	}
}

// try sends the batch once. The error says why it is not to be tried any more, whatever the result.
func (p *partition) try(b *batch) (connection.Result, error) {
	ctx, cancel, err := p.producer.tryContext(p.producer.deliveryEnds(b))
	if err != nil {
		return connection.Result{}, err
	}
	defer cancel()
	if err := p.open(ctx); err != nil {
		return connection.Result{Outcome: connection.NotSent, Err: err}, p.producer.aborted()
	}
	if b.tries == 0 {
		if err := p.fit(b); err != nil {
			return connection.Result{}, err
		}
	}
	b.tries++
	result := p.link.Send(ctx, b.events)
	if result.Outcome == connection.Accepted {
		return result, nil
	}
	if result.Outcome == connection.Unknown {
		b.ambiguous = true
	}
	return result, p.producer.aborted()
}

// open opens the partition's link if it is not open, and notes how large a message it takes.
func (p *partition) open(ctx context.Context) error {
	if err := p.link.Open(ctx); err != nil {
		return err
	}
	largest := int64(p.link.MaxMessageSize())
	if largest == 0 || largest > math.MaxInt32 {
		largest = math.MaxInt32 // a link without a limit of its own
	}
	if p.linkMax.Swap(largest) == 0 {
		p.producer.openLinks.Add(1)
	}
	return nil
}

// fit cuts the batch down to what the link takes; what is cut off goes back to the front of the queue, in order. An event that is too large by
// itself is left alone in its batch, in its place, with an error.
func (p *partition) fit(b *batch) error {
	limit := int(p.linkMax.Load())
	if b.bytes <= limit {
		return nil
	}
	p.mu.Lock()
	p.putBackLocked(b.cut(limit, p.producer.newBatch))
	p.mu.Unlock()
	if b.bytes > limit {
		return &EventTooLargeError{Size: b.bytes, Limit: limit}
	}
	return nil
}

// pause says how long to wait before the next try and whether there is to be one.
func (p *partition) pause(r connection.Result, failures *int) (delay time.Duration, again bool) {
	below, known := errors.AsType[*connection.Error](r.Err)
	if known && below.Code == connection.CodeThrottled {
		// As the service asks, and up to a quarter more, so that a fleet does not come back in step.
		return throttleDelay + rand.N(throttleDelay/4), true
	}
	if r.Outcome == connection.Rejected && !(known && below.Transient) {
		return 0, false // the service has looked at the batch and does not want it
	}
	*failures++
	retry := &p.producer.options.RetryOptions
	return retry.delay(*failures), *failures <= retry.MaxRetries
}

// delay is the pause after so many failures: doubled with each, bounded, and varied by a fifth either way.
func (r *RetryOptions) delay(failures int) time.Duration {
	if r.RetryDelay < 0 {
		return 0
	}
	delay := r.RetryDelay
	for range failures - 1 {
		delay *= 2
		if r.MaxRetryDelay >= 0 && delay >= r.MaxRetryDelay || delay > time.Hour {
			break
		}
	}
	if r.MaxRetryDelay >= 0 {
		delay = min(delay, r.MaxRetryDelay)
	}
	return time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64()))
}

// rest waits before the next try. It reports false if there is none: the delivery's time would be over, or the producer gives up.
func (p *partition) rest(b *batch, delay time.Duration) bool {
	if ends := p.producer.deliveryEnds(b); !ends.IsZero() && time.Until(ends) <= delay {
		return false
	}
	p.producer.leftWire()
	defer p.producer.onWire.Add(1)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.producer.lifetime.Done(): // the next try sees it
	}
	return true
}

// failed is the outcome of a batch that is not tried again.
func (p *partition) failed(b *batch, err error) Outcome {
	o := Outcome{Err: err, Storage: NotStored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)}
	if b.ambiguous {
		o.Storage = PossiblyStored
	}
	return o
}

// deliveryEnds is when the delivery of a batch is over, whatever became of it by then: the zero time means never.
func (p *BufferedProducer) deliveryEnds(b *batch) time.Time {
	limit := p.options.DeliveryTimeout
	switch _, untilFull := p.options.linger(); {
	case limit < 0:
		return time.Time{}
	case untilFull:
		return b.sent.Add(limit) // the caller asked to wait: that must not be what fails the batch
	default:
		return b.first.Add(limit)
	}
}

// tryContext returns the context of one try: it ends with the try's time, with the delivery's, or when the producer gives up. The error is why
// there is to be no try at all.
func (p *BufferedProducer) tryContext(ends time.Time) (context.Context, context.CancelFunc, error) {
	if err := p.aborted(); err != nil {
		return nil, nil, err
	}
	timeout := p.options.RetryOptions.TryTimeout
	if !ends.IsZero() {
		left := time.Until(ends)
		if left <= 0 {
			return nil, nil, &Error{Code: CodeTimeout, Err: fmt.Errorf("not delivered within Options.DeliveryTimeout, %v", p.options.DeliveryTimeout)}
		}
		timeout = min(timeout, left)
	}
	ctx, cancel := context.WithTimeout(p.lifetime, timeout)
	return ctx, cancel, nil
}

// aborted returns why nothing more is sent, once Close's context has ended; before, nil.
func (p *BufferedProducer) aborted() error {
	if p.lifetime.Err() == nil {
		return nil
	}
	return context.Cause(p.lifetime)
}
