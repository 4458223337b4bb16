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

// RetryOptions say how a batch is tried again. A zero field means its default, whatever the other fields say.
type RetryOptions struct {
	// Mode says how the pauses grow.
	// Default: RetryExponential.
	Mode RetryMode

	// MaxRetries is how often a batch is tried again after its first try. Negative: never. Being throttled by the service is
	// not counted, nor is a credential that gives no token: DeliveryTimeout bounds these. Nor is a batch that is cut for its size, which ends by itself.
	// Default: 15.
	MaxRetries int

	// RetryDelay is the pause before the first retry. All pauses vary by up to a fifth either way; those before another attempt to
	// connect by all of themselves, so that a fleet does not come back in step, and end when anybody's attempt succeeds. A link or
	// connection that was lost is opened again at once, the first time. Negative: no pause.
	// Default: 0.8 s.
	RetryDelay time.Duration

	// MaxRetryDelay bounds the pause. Negative: no bound but a day.
	// Default: 60 s.
	MaxRetryDelay time.Duration

	// TryTimeout bounds each half of a try: opening the link, if need be, and then sending with the service's answer, so that a link that opens slowly does not use up the
	// time of what is sent on it.
	// Default: 60 s.
	TryTimeout time.Duration

	// Policy, if set, decides instead of the fields above, but for TryTimeout: it is told of each failed try, and returns the pause before the next one and whether
	// there is to be one. It is called by the goroutines that send, at the same
	// time for different partitions, and must not block. It is not asked about being throttled, which is always tried again, nor about a batch that is cut since
	// the service refuses it for its size, which is no retry, nor about what never is tried again: a batch that the service has rejected for good, what FailFast
	// ends, CodeFenced, CodeOutOfOrder and CodeNotSupported. If it ends its goroutine (runtime.Goexit) there is no further try, and the batch's error says so.
	// Default: none.
	Policy func(FailedTry) (pause time.Duration, again bool)
}

// A FailedTry is what [RetryOptions.Policy] decides on.
type FailedTry struct {
	Failures    int    // how many tries of the batch have failed, this one included; being throttled is not counted
	Err         error  // of this one: an [*Error]
	PartitionID string // empty for the list of partitions, and for what the service assigns
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

// Retries are the failed tries of one batch, or of asking for the list of partitions. The zero value has none.
type retries struct {
	counted   int // these MaxRetries bounds
	throttled int
	tokenless int
	cut       int       // the batch was too large, and is smaller by now
	undecided error     // the Policy did not return; nil as long as it does
	last      hindrance // what has failed last
}

// failed notes what a try has failed with, before after is asked what follows, and returns its public form.
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

// reason is why no try follows the one that has failed with err.
func (r *retries) reason(err error) error {
	if r.undecided != nil {
		return fmt.Errorf("%w; it is not retried, because %w", err, r.undecided)
	}
	return err
}

// total is how many tries have failed.
func (r *retries) total() int { return r.counted + r.throttled + r.tokenless + r.cut }

// after notes a failed try and returns the pause before the next one, and whether there is to be one. The id is the partition's, if there is one. Settled says that
// the service has looked at what was sent and does not want it.
func (r *retries) after(err error, partitionID string, settled bool, o *Options) (pause time.Duration, again bool) {
	policy := &o.Retry
	e, known := errors.AsType[*connection.Error](err)
	if !known {
		e = &connection.Error{}
	}
	stale := e.Lost && r.counted == 0
	switch {
	case e.Code == connection.CodeThrottled:
		r.throttled++
		return throttleDelay(e.Wait, r.throttled), true
	case settled && !e.Transient, known && !e.Transient && o.FailFast && !stale, ends(e.Code):
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
	r.counted++
	switch {
	case stale:
		pause = 0 // the service closes what is idle: that says nothing about a new link
	case e.Unreached:
		pause = spread(policy.mean(r.counted))
	default:
		pause = policy.delay(r.counted)
	}
	return pause, r.counted <= policy.MaxRetries
}

// ends reports whether a failure ends a batch whatever the options say: an idempotent producer that was refused as such.
func ends(code connection.Code) bool {
	return code == connection.CodeFenced || code == connection.CodeOutOfOrder || code == connection.CodeNotSupported
}

// delay is the pause after so many failures: the mean, varied by a fifth either way.
func (r *RetryOptions) delay(failures int) time.Duration {
	return time.Duration(float64(r.mean(failures)) * (0.8 + 0.4*rand.Float64()))
}

// mean is the pause after so many failures, before it is varied.
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

// spread varies a pause by all of itself either way: full jitter, whose mean stays what was asked for, so that MaxRetries last as long.
func spread(mean time.Duration) time.Duration { return rand.N(2*mean + 1) }

// throttleDelay is the pause after being throttled so many times: as long as the service asks ("Please wait 4 seconds and try again"), and then
// anything within a spread that begins at a quarter of that and doubles each time up to four times of it, since a fleet that comes back within one
// second is throttled again.
func throttleDelay(asked time.Duration, times int) time.Duration {
	if asked <= 0 {
		asked = 4 * time.Second
	}
	return asked + rand.N(asked/4<<min(times-1, 4)+1)
}
