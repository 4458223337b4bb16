package eventhubs

import (
	"math/rand/v2"
	"time"
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

	// MaxRetries is how often a batch is tried again after its first try. Negative: never.
	// Being throttled by the service is not counted.
	// Default: 15.
	MaxRetries int

	// RetryDelay is the pause before the first retry. All pauses vary by up to a fifth either way. Negative: no pause.
	// Default: 0.8 s.
	RetryDelay time.Duration

	// MaxRetryDelay bounds the pause. Negative: no bound.
	// Default: 60 s.
	MaxRetryDelay time.Duration

	// TryTimeout bounds one try: opening the link if need be, sending, and the service's answer.
	// Default: 60 s.
	TryTimeout time.Duration

	// Policy, if set, decides instead of the fields above, but for TryTimeout: it is told how many tries have failed, from 1, and the error of
	// the last, and returns the pause before the next try and whether there is to be one. It is called by the goroutines that send, at the same
	// time for different partitions, and must not block.
	// Default: none.
	Policy func(failures int, err error) (pause time.Duration, again bool)
}

func (r *RetryOptions) validate() error {
	switch {
	case r.Mode != RetryExponential && r.Mode != RetryFixed:
		return invalid("Options.RetryOptions.Mode is %d: it is RetryExponential or RetryFixed", r.Mode)
	case r.MaxRetries > 1000:
		return invalid("Options.RetryOptions.MaxRetries is %d: it must be at most 1000; bound retries with DeliveryTimeout instead", r.MaxRetries)
	case r.TryTimeout < 0:
		return invalid("Options.RetryOptions.TryTimeout is %v: it must be positive, or 0 for %v", r.TryTimeout, defaultTryTimeout)
	}
	return nil
}

// next returns the pause after so many failures, and whether there is another try after it.
func (r *RetryOptions) next(failures int, err error) (pause time.Duration, again bool) {
	if r.Policy != nil {
		return r.Policy(failures, err)
	}
	return r.delay(failures), failures <= r.MaxRetries
}

// delay is the pause after so many failures, without a policy.
func (r *RetryOptions) delay(failures int) time.Duration {
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
	return time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64()))
}

// throttleDelay is how long the service asks to wait when it is busy ("Please wait 4 seconds and try again"), and up to a quarter more, so that a
// fleet does not come back in step.
func throttleDelay() time.Duration {
	const asked = 4 * time.Second
	return asked + rand.N(asked/4)
}
