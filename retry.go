package eventhubs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// RetryMode says how the pauses between tries grow.
type RetryMode int

const (
	// RetryExponential doubles the pause with each failure, up to MaxRetryDelay.
	RetryExponential RetryMode = iota
	// RetryFixed always pauses for RetryDelay.
	RetryFixed
)

// RetryOptions say how a failed batch is retried. A zero field means its default, whatever the
// other fields say.
type RetryOptions struct {
	// Mode says how the pauses grow.
	// Default: RetryExponential.
	Mode RetryMode

	// MaxRetries is how often a batch is retried after its first try. Negative: never, except after
	// throttling, a missing token or a cut. These failed tries are not counted:
	//   - The try got no connection to the service: name server, dial, proxy, TLS or the opening of
	//     the connection failed. It counts if DeliveryTimeout is negative, so that a bound remains.
	//   - The service throttled the try, or the credential gave no token.
	//   - The batch was cut for its size. Cutting ends by itself.
	//
	// Only DeliveryTimeout bounds the first two kinds. So an outage uses up no retries.
	// Default: 15.
	MaxRetries int

	// RetryDelay is the pause before the first retry. All pauses vary by up to a fifth either way.
	// Pauses before another dial have full jitter (0 to 2×), so that a fleet does not come back in
	// step. They end early when another partition's dial succeeds. A lost link or connection is
	// opened again at once, the first time. Negative: no pause.
	// Default: 0.8 s.
	RetryDelay time.Duration

	// MaxRetryDelay bounds the pause. Negative: no bound except one day.
	// Default: 60 s.
	MaxRetryDelay time.Duration

	// TryTimeout bounds each half of a try. The first half opens the link, if it is not open. The
	// second sends the batch and waits for the service's answer. So a link that opens slowly does
	// not use up the time for the batch.
	// Default: 60 s.
	TryTimeout time.Duration

	// Policy, if set, decides instead of the fields above, except TryTimeout. It is called after
	// each failed try, and returns the pause before the next try and whether there is one. That
	// includes tries without a connection or a token, which MaxRetries does not count. The sending
	// goroutines call it, at the same time for different partitions, so it must not block.
	//
	// Policy is not called when the service throttles, which is always retried. It is not called
	// when a batch is cut for its size, which uses up no retries. It is also not called for
	// failures that are never retried: a batch rejected for good, the failures that FailFast ends,
	// CodeFenced, CodeOutOfOrder and CodeNotSupported. If Policy ends its goroutine
	// (runtime.Goexit), the batch is not retried, and its error says so.
	// Default: none.
	Policy func(FailedTry) (pause time.Duration, again bool)
}

// A FailedTry is the argument of [RetryOptions.Policy].
type FailedTry struct {
	Failures    int    // failed tries of the batch, with this one and without throttling
	Err         error  // the failure of this try: an [*Error]
	PartitionID string // empty for the list of partitions, and if the service chooses
}

func (r *RetryOptions) validate() error {
	switch {
	case r.Mode != RetryExponential && r.Mode != RetryFixed:
		return invalid("Options.Retry.Mode is %d: it is RetryExponential or RetryFixed", r.Mode)
	case r.MaxRetries > 1000:
		return invalid("Options.Retry.MaxRetries is %d: it must be at most 1000; bound retries with DeliveryTimeout instead", r.MaxRetries)
	case r.TryTimeout < 0:
		return invalid("Options.Retry.TryTimeout is %v: it must be positive, or 0 for %v", r.TryTimeout, defaultTryTimeout)
	}
	return nil
}

// Retries count the failed tries of one batch, or of asking for the list of partitions. The zero
// value has none.
type retries struct {
	counted   int // bounded by MaxRetries
	unreached int // got no connection; bounded by DeliveryTimeout
	throttled int
	tokenless int
	shortened int       // the batch was too large, and is now smaller
	undecided error     // the Policy did not return; nil while it does
	last      hindrance // the last failure
}

// failed records the failure of a try and returns its public form. Call it before after, which
// decides what follows.
func (r *retries) failed(err error, partitionID string) error {
	if r.last.since.IsZero() {
		r.last.since = time.Now()
	}
	r.last.err = failure(err, partitionID, r.total()+1)
	if e, ok := r.last.err.(*Error); ok {
		e.Since = r.last.since
	}
	return r.last.err
}

// reason returns why no try follows the one that failed with err.
func (r *retries) reason(err error) error {
	if r.undecided != nil {
		return fmt.Errorf("%w; it is not retried, because %w", err, r.undecided)
	}
	return err
}

// total returns how many tries have failed.
func (r *retries) total() int { return r.paced() + r.throttled + r.tokenless + r.shortened }

// paced returns how many failures the next pause follows from.
func (r *retries) paced() int { return r.counted + r.unreached }

// after records a failed try. It returns the pause before the next one, and whether there is one.
// The id is the partition's, if there is one. Settled means that the service has looked at the
// batch and refused it.
func (r *retries) after(err error, partitionID string, settled bool, o *Options) (pause time.Duration, again bool) {
	policy := &o.Retry
	e, known := errors.AsType[*connection.Error](err)
	if !known {
		e = &connection.Error{}
	}
	lostFirst := e.Lost && r.paced() == 0
	switch {
	case e.Code == connection.CodeThrottled:
		r.throttled++
		return throttleDelay(e.Wait, r.throttled), true
	case settled && !e.Transient, known && !e.Transient && o.FailFast && !lostFirst, ends(e.Code):
		return 0, false
	case policy.Policy != nil:
		r.counted++
		r.undecided = callback.Call("Options.Retry.Policy", func() {
			pause, again = policy.Policy(FailedTry{Failures: r.counted, Err: failure(err, partitionID, r.total()), PartitionID: partitionID})
		})
		return pause, again
	case e.Code == connection.CodeNoToken:
		r.tokenless++
		return policy.delay(r.tokenless), true
	}
	uncounted := e.Unreached && o.outlastsOutages()
	if uncounted {
		r.unreached++
	} else {
		r.counted++
	}
	switch {
	case lostFirst:
		pause = 0 // the service closes idle links: that says nothing about a new one
	case e.Unreached:
		pause = spread(policy.mean(r.paced()))
	default:
		pause = policy.delay(r.paced())
	}
	return pause, uncounted || r.counted <= policy.MaxRetries
}

// outlastsOutages reports whether tries without a connection use up no retries. Their number says
// nothing about the batch, and DeliveryTimeout bounds their time. Without it MaxRetries must.
func (o *Options) outlastsOutages() bool {
	return o.Journal != nil || o.Retry.MaxRetries >= 0 && o.DeliveryTimeout >= 0
}

// ends reports whether a failure ends a batch whatever the options say: the service refused the
// idempotent producer itself.
func ends(code connection.Code) bool {
	return code == connection.CodeFenced || code == connection.CodeOutOfOrder || code == connection.CodeNotSupported
}

// delay returns the pause after that many failures: the mean, varied by a fifth either way.
func (r *RetryOptions) delay(failures int) time.Duration {
	return time.Duration(float64(r.mean(failures)) * (0.8 + 0.4*rand.Float64()))
}

// mean returns the pause after that many failures, before it is varied.
func (r *RetryOptions) mean(failures int) time.Duration {
	if r.RetryDelay < 0 {
		return 0
	}
	delay := r.RetryDelay
	for range failures - 1 {
		if r.Mode == RetryFixed || r.MaxRetryDelay >= 0 && delay >= r.MaxRetryDelay || delay > time.Hour {
			break
		}
		delay *= 2
	}
	if r.MaxRetryDelay >= 0 {
		delay = min(delay, r.MaxRetryDelay)
	}
	return min(delay, 24*time.Hour)
}

// spread gives a pause full jitter (0 to 2×). The mean stays the same.
func spread(mean time.Duration) time.Duration { return rand.N(2*mean + 1) }

// throttleDelay returns the pause after being throttled that many times. It is as long as the
// service asks ("Please wait 4 seconds and try again"), plus a random time. That is at most 1/4 of
// it the first time, then 1/2, 1, 2 and 4 times. A fleet that comes back within one second would be
// throttled again.
func throttleDelay(asked time.Duration, times int) time.Duration {
	if asked <= 0 {
		asked = 4 * time.Second
	}
	return asked + rand.N(asked/4<<min(times-1, 4)+1)
}
