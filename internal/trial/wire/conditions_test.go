package wire

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A wireCondition is a reason that the service may give, and its effect on a batch.
type wireCondition struct {
	name string
	code eventhubs.Code

	rejected bool // a batch that is rejected with it fails
	detached bool // and so does a batch whose link is detached with it
}

// wireConditions are the conditions that the service, its documents or its clients name.
var wireConditions = []wireCondition{
	{name: "com.microsoft:server-busy", code: eventhubs.CodeThrottled},
	{name: "com.microsoft:timeout", code: eventhubs.CodeTimeout},
	{name: "com.microsoft:operation-cancelled", code: eventhubs.CodeInternal},
	{name: "amqp:internal-error", code: eventhubs.CodeInternal},
	{name: "amqp:link:detach-forced", code: eventhubs.CodeConnectionLost},
	{name: "amqp:connection:forced", code: eventhubs.CodeConnectionLost},
	{name: "amqp:link:transfer-limit-exceeded", code: eventhubs.CodeConnectionLost},
	{name: "amqp:connection:redirect", code: eventhubs.CodeConnectionLost},
	{name: "amqp:link:redirect", code: eventhubs.CodeConnectionLost},
	{name: "amqp:connection:framing-error", code: eventhubs.CodeConnectionLost},
	{name: "com.microsoft:container-close", code: eventhubs.CodeConnectionLost},
	{name: "com.microsoft:partition-not-owned", code: eventhubs.CodeConnectionLost},
	{name: "com.microsoft:store-lock-lost", code: eventhubs.CodeConnectionLost},
	{name: "amqp:link:message-size-exceeded", code: eventhubs.CodeTooLarge, rejected: true, detached: true},
	{name: "amqp:resource-limit-exceeded", code: eventhubs.CodeQuotaExceeded, rejected: true},
	{name: "amqp:unauthorized-access", code: eventhubs.CodeUnauthorized, rejected: true},
	{name: "com.microsoft:auth-failed", code: eventhubs.CodeUnauthorized, rejected: true},
	{name: "com.microsoft:publisher-revoked", code: eventhubs.CodeUnauthorized, rejected: true},
	{name: "amqp:not-found", code: eventhubs.CodeNotFound, rejected: true},
	{name: "amqp:resource-deleted", code: eventhubs.CodeNotFound, rejected: true},
	{name: "com.microsoft:entity-disabled", code: eventhubs.CodeDisabled, rejected: true},
	{name: "com.microsoft:argument-out-of-range", code: eventhubs.CodePartitionUnknown, rejected: true},
	{name: "com.microsoft:argument-error", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:not-allowed", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:frame-size-too-small", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:not-implemented", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:decode-error", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:invalid-field", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:illegal-state", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:precondition-failed", code: eventhubs.CodeRejected, rejected: true},
	{name: "com.microsoft:precondition-failed", code: eventhubs.CodeRejected, rejected: true},
	{name: "com.microsoft:address-already-in-use", code: eventhubs.CodeRejected, rejected: true},
	{name: "com.microsoft:entity-already-exists", code: eventhubs.CodeRejected, rejected: true},
	{name: "com.microsoft:message-lock-lost", code: eventhubs.CodeRejected, rejected: true},
	{name: "com.microsoft:session-cannot-be-locked", code: eventhubs.CodeRejected, rejected: true},
	{name: "amqp:link:stolen", code: eventhubs.CodeFenced, rejected: true, detached: true},
	{name: "com.microsoft:producer-epoch-stolen", code: eventhubs.CodeFenced, rejected: true, detached: true},
	{name: "com.microsoft:out-of-order-sequence", code: eventhubs.CodeOutOfOrder, rejected: true, detached: true},
	{name: "something:nobody-knows", code: eventhubs.CodeInternal},
}

// TestEachConditionHasItsCodeAndItsEnd checks that a batch with this condition is tried again or
// fails. The error has the code, the condition and the service's tracking id.
func TestEachConditionHasItsCodeAndItsEnd(t *testing.T) {
	for _, c := range wireConditions {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.meet(t, emulator.Reject(c.name, world.Tracked("The reason.")), c.rejected)
				c.meet(t, emulator.Detach(c.name, world.Tracked("The reason.")), c.detached)
			})
		})
	}
}

// meet has the first transfer meet the condition.
func (c *wireCondition) meet(t *testing.T, action emulator.Action, fails bool) {
	t.Helper()
	r := newRig(t, eventhubs.Options{})
	var met atomic.Bool
	r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && !met.Swap(true) {
			return action
		}
		return emulator.Pass()
	})
	r.open()
	began := time.Now()
	_, err := r.p.Publish(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: victim})
	took := time.Since(began)
	if (err != nil) != fails || fails && took > time.Second || took > 10*time.Second {
		t.Errorf("%v: Publish returned %v after %v", action, err, took)
	}
	stored := len(world.Bodies(r.server, victim))
	if want := map[bool]int{false: 1}[fails]; stored != want {
		t.Errorf("%v: %d events are stored, want %d", action, stored, want)
	}
	last := r.trouble.err()
	e, ok := errors.AsType[*eventhubs.Error](last)
	if !ok || e.Code != c.code || e.Condition != c.name || e.TrackingID != "2_G0" || e.PartitionID != victim {
		t.Errorf("%v: the error is %#v, want %q", action, last, c.code)
	}
	_ = r.p.Close(t.Context()) // which may still cover the failed events
}
