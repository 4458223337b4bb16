package connection

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// catalogue has all known conditions of the service with their meanings. The field lost applies
// when the service detaches a link or closes the connection with the condition.
var catalogue = []struct {
	condition string
	code      Code
	transient bool
	lost      bool
}{
	{"com.microsoft:server-busy", CodeThrottled, true, false},
	{"com.microsoft:timeout", CodeTimeout, true, true},
	{"com.microsoft:operation-cancelled", CodeInternal, true, true},
	{"amqp:internal-error", CodeInternal, true, true},
	{"amqp:link:detach-forced", CodeConnectionLost, true, true},
	{"amqp:connection:forced", CodeConnectionLost, true, true},
	{"amqp:link:transfer-limit-exceeded", CodeConnectionLost, true, true},
	{"amqp:link:message-size-exceeded", CodeTooLarge, false, false},
	{"amqp:resource-limit-exceeded", CodeQuotaExceeded, false, false},
	{"amqp:unauthorized-access", CodeUnauthorized, false, true},
	{"com.microsoft:auth-failed", CodeUnauthorized, false, true},
	{"amqp:not-found", CodeNotFound, false, false},
	{"amqp:not-allowed", CodeRejected, false, false},
	{"amqp:not-implemented", CodeRejected, false, false},
	{"com.microsoft:argument-error", CodeRejected, false, false},
	{"com.microsoft:argument-out-of-range", CodePartitionUnknown, false, false},
	{"com.microsoft:entity-disabled", CodeDisabled, false, false},
	{"com.microsoft:publisher-revoked", CodeUnauthorized, false, true},
	{"amqp:link:stolen", CodeFenced, false, false},
	{"com.microsoft:producer-epoch-stolen", CodeFenced, false, false},
	{"com.microsoft:out-of-order-sequence", CodeOutOfOrder, false, false},
	{"com.microsoft:address-already-in-use", CodeRejected, false, false},
	{"com.microsoft:store-lock-lost", CodeConnectionLost, true, true},
	{"com.microsoft:partition-not-owned", CodeConnectionLost, true, true},
	{"com.microsoft:entity-already-exists", CodeRejected, false, false},
	{"com.microsoft:container-close", CodeConnectionLost, true, true},
	{"com.microsoft:precondition-failed", CodeRejected, false, false},
	{"com.microsoft:message-lock-lost", CodeRejected, false, false},
	{"com.microsoft:session-cannot-be-locked", CodeRejected, false, false},
	{"amqp:link:redirect", CodeConnectionLost, true, true},
	{"amqp:connection:redirect", CodeConnectionLost, true, true},
	{"amqp:decode-error", CodeRejected, false, false},
	{"amqp:frame-size-too-small", CodeRejected, false, false},
	{"amqp:connection:framing-error", CodeConnectionLost, true, true},
	{"amqp:session:window-violation", CodeConnectionLost, true, true},
	{"amqp:session:errant-link", CodeConnectionLost, true, true},
	{"amqp:session:handle-in-use", CodeConnectionLost, true, true},
	{"amqp:session:unattached-handle", CodeConnectionLost, true, true},
	{"amqp:illegal-state", CodeRejected, false, false},
	{"amqp:invalid-field", CodeRejected, false, false},
	{"amqp:precondition-failed", CodeRejected, false, false},
	{"amqp:resource-deleted", CodeNotFound, false, false},
	{"amqp:resource-locked", CodeInternal, true, true},
	{"com.microsoft:never-heard-of", CodeInternal, true, true},
}

// TestEachConditionIsUnderstoodWhereverItComes sends each condition in every place: as a batch's
// outcome, or as the refusal of a link, of a token or of a question. It also ends a link and the
// connection with each.
func TestEachConditionIsUnderstoodWhereverItComes(t *testing.T) {
	const said = "Something is the matter. Please wait 7 seconds and try again."
	const text = said + " TrackingId:42-abc_G5, SystemTracker:ns:eventhub:hub~1, Timestamp:2026-11-21T10:00:00"
	ways := []struct {
		name    string
		kind    emulator.Kind
		action  func(condition, text string) emulator.Action
		outcome Outcome
		ends    bool // it ends something open
	}{
		{"rejected", emulator.KindTransfer, emulator.Reject, Rejected, false},
		{"detached", emulator.KindTransfer, emulator.Detach, Unknown, true},
		{"connection closed", emulator.KindTransfer, emulator.CloseConnection, Unknown, true},
		{"attach refused", emulator.KindAttach, emulator.Reject, NotSent, false},
		{"token refused", emulator.KindPutToken, emulator.Reject, NotSent, false},
		{"question refused", emulator.KindManagement, emulator.Reject, NotSent, false},
	}
	for _, c := range catalogue {
		for _, way := range ways {
			t.Run(c.condition+"/"+way.name, func(t *testing.T) {
				hook := func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == way.kind && (op.Kind != emulator.KindAttach || op.PartitionID != "") {
						return way.action(c.condition, text)
					}
					return emulator.Pass()
				}
				inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
					var err error
					if way.kind == emulator.KindManagement {
						_, err = b.HubProperties(t.Context(), testHub)
					} else {
						r := b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1))
						want := way.outcome
						if way.name == "detached" && c.code == CodeTooLarge {
							want = Rejected // nothing else was under way
						}
						if err = r.Err; r.Outcome != want {
							t.Errorf("outcome %v, want %v", r.Outcome, want)
						}
					}
					e := wantCode(t, err, c.code)
					if e.Transient != c.transient || e.Condition != c.condition || e.Description != said || e.TrackingID != "42-abc_G5" {
						t.Errorf("error %+v", e)
					}
					if want := c.lost && way.ends; e.Lost != want || e.Unreached {
						t.Errorf("lost %v, unreached %v; want %v, false", e.Lost, e.Unreached, want)
					}
					if want := map[bool]time.Duration{true: 7 * time.Second}[c.code == CodeThrottled]; e.Wait != want {
						t.Errorf("wait %v, want %v", e.Wait, want)
					}
					wantText(t, e)
					if remote, ok := errors.AsType[*amqp.Error](err); !ok || string(remote.Condition) != c.condition {
						t.Errorf("the service's error cannot be reached through %v", err)
					}
				})
			})
		}
	}
}

// wantText checks that an error's text has everything that is needed to act on it.
func wantText(t *testing.T, e *Error) {
	t.Helper()
	text, hint := e.Error(), Advise(e, Setting{})
	if hint == "" || !strings.HasSuffix(text, "; "+hint) {
		t.Errorf("text %q does not end in what to check, %q", text, hint)
	}
	if e.Condition != "" && (!strings.HasPrefix(text, e.Condition+": "+e.Description) || !strings.Contains(text, e.TrackingID)) {
		t.Errorf("text %q lacks the condition %s, the service's words or the tracking id %s", text, e.Condition, e.TrackingID)
	}
}
