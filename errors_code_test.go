package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// withCodes maps each code to its sentinel.
var withCodes = map[Code]error{
	CodeInvalidArgument: ErrInvalidArgument, CodeClosed: ErrClosed, CodeBufferFull: ErrBufferFull, CodeTooLarge: ErrEventTooLarge, CodePartitionUnknown: ErrPartitionUnknown,
	CodeCleared: ErrCleared, CodeAbandoned: ErrAbandoned, CodeExpired: ErrExpired, CodePartitionStopped: ErrPartitionStopped,
	CodeProducerStateChanged: ErrProducerStateChanged, CodePending: ErrPending, CodeInHandler: ErrInHandler,
}

func TestSentinelsAndCodesMatchEachOther(t *testing.T) {
	for code, sentinel := range withCodes {
		for name, err := range map[string]error{
			"the sentinel": sentinel, "the sentinel, wrapped": fmt.Errorf("eventhubs: %w", sentinel), "an Error with the code": &Error{Code: code, Err: errors.New("text")},
			"an Error, wrapped": fmt.Errorf("eventhubs: %w", &Error{Code: code, Err: errors.New("text")}),
		} {
			if !errors.Is(err, sentinel) || !errors.Is(err, code) || CodeOf(err) != code {
				t.Errorf("%s of %s matches the sentinel: %v, the code: %v, and has the code %q", name, code, errors.Is(err, sentinel), errors.Is(err, code), CodeOf(err))
			}
			for other, its := range withCodes {
				if other != code && (errors.Is(err, its) || errors.Is(err, other)) {
					t.Errorf("%s of %s matches %s too", name, code, other)
				}
			}
		}
	}
}

func TestTheCodeIsThatOfWhatHasHappenedAndNotOfItsReason(t *testing.T) {
	throttled := &Error{Code: CodeThrottled, Err: errors.New("busy"), PartitionID: "0"}
	for want, err := range map[Code]error{
		"":                   nil,
		CodeCleared:          hindrance{err: throttled}.with(fmt.Errorf("eventhubs: %w", ErrCleared)),
		CodePartitionStopped: partitionStopped("partition 0: ", throttled),
		CodeThrottled:        &UndeliveredError{NotStored: 1, Err: throttled},
		CodeTooLarge:         &EventTooLargeError{Size: 2, Limit: 1, Err: &Error{Code: CodeRejected, Err: errors.New("no")}},
		CodeProducerStore:    (&identity{partitionID: "0"}).storeError("saving", fmt.Errorf("eventhubs: %w", ErrProducerStateChanged)),
		CodeTimeout:          fmt.Errorf("%w: %w", ErrDeliveryTimeout, &Error{Code: CodeTimeout, Err: errors.New("no answer")}),
		CodeCanceled:         fmt.Errorf("eventhubs: %w", context.Canceled),
		CodeClosed:           fmt.Errorf("eventhubs: %w: %w", ErrClosed, context.DeadlineExceeded),
	} {
		if got := CodeOf(err); got != want {
			t.Errorf("the code of %v is %q, want %q", err, got, want)
		}
	}
	if got := CodeOf(fmt.Errorf("x: %w", context.DeadlineExceeded)); got != CodeTimeout {
		t.Errorf("the code of a deadline is %q, want %q", got, CodeTimeout)
	}
	if got := CodeOf(errors.New("x")); got != "" {
		t.Errorf("the code of any error is %q, want none", got)
	}
	if err := partitionStopped("", throttled); !errors.Is(err, CodeThrottled) {
		t.Errorf("%v does not match the code of its reason", err)
	}
}

// Every error of a lower layer has a code that this package exports.
func TestAnErrorFromBelowMatchesTheSentinelOfItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result {
			return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("gone")}}
		}
		p := producerOver(peer, Options{FailFast: true, OnBatchFailed: func(context.Context, *Batch) {}})
		o, err := p.Publish(t.Context(), event("a"))
		if !errors.Is(err, ErrPartitionUnknown) || CodeOf(err) != CodePartitionUnknown || o.Storage != NotStored {
			t.Errorf("Publish returned %v, %v, want one that matches ErrPartitionUnknown", o, err)
		}
		wantFailed(t, "Close", p.Close(t.Context()), 1)
	})
	if got, want := Code(connection.CodeClosed), CodeConnectionClosed; got != want {
		t.Errorf("a closed connection's code is %q, want %q", got, want)
	}
}
