package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

func TestConditionsHaveTheirCode(t *testing.T) {
	for _, c := range []struct {
		condition string
		code      Code
		transient bool
	}{
		{"com.microsoft:server-busy", CodeThrottled, true},
		{"com.microsoft:timeout", CodeTimeout, true},
		{"com.microsoft:operation-cancelled", CodeInternal, true},
		{"amqp:internal-error", CodeInternal, true},
		{"amqp:link:detach-forced", CodeConnectionLost, true},
		{"amqp:connection:forced", CodeConnectionLost, true},
		{"amqp:link:transfer-limit-exceeded", CodeConnectionLost, true},
		{"amqp:link:message-size-exceeded", CodeTooLarge, false},
		{"amqp:resource-limit-exceeded", CodeQuotaExceeded, false},
		{"amqp:unauthorized-access", CodeUnauthorized, false},
		{"com.microsoft:auth-failed", CodeUnauthorized, false},
		{"amqp:not-found", CodeNotFound, false},
		{"amqp:not-allowed", CodeRejected, false},
		{"amqp:not-implemented", CodeRejected, false},
		{"com.microsoft:argument-error", CodeRejected, false},
		{"com.microsoft:argument-out-of-range", CodePartitionUnknown, false},
		{"com.microsoft:entity-disabled", CodeDisabled, false},
		{"com.microsoft:publisher-revoked", CodeUnauthorized, false},
		{"amqp:link:stolen", CodeFenced, false},
		{"com.microsoft:producer-epoch-stolen", CodeFenced, false},
		{"com.microsoft:out-of-order-sequence", CodeOutOfOrder, false},
		{"com.microsoft:never-heard-of", CodeInternal, true},
	} {
		remote := &amqp.Error{Condition: amqp.Symbol(c.condition), Description: "why"}
		for _, err := range []error{
			remote,
			fmt.Errorf("%w: %w", amqp.ErrDetached, &amqp.RemoteError{Frame: "detach", Err: remote}),
			fmt.Errorf("sending: %w", fmt.Errorf("%w: %w", amqp.ErrClosed, &amqp.RemoteError{Frame: "close", Err: remote})),
		} {
			e, ok := classify(err).(*Error)
			if !ok || e.Code != c.code || e.Transient != c.transient || e.Condition != c.condition {
				t.Errorf("%T %s: %+v, want code %s, transient %v", err, c.condition, e, c.code, c.transient)
			}
			if !errors.Is(e, err) {
				t.Errorf("%T %s: the cause cannot be reached", err, c.condition)
			}
		}
	}
}

func TestLocalErrorsHaveTheirCode(t *testing.T) {
	for _, c := range []struct {
		err       error
		code      Code
		transient bool
	}{
		{amqp.ErrDetached, CodeConnectionLost, true},
		{amqp.ErrEnded, CodeConnectionLost, true},
		{fmt.Errorf("%w: write: %w", amqp.ErrClosed, io.ErrClosedPipe), CodeConnectionLost, true},
		{fmt.Errorf("%w: %w", amqp.ErrClosed, &amqp.Error{Condition: amqp.ErrorResourceLimit}), CodeConnectionLost, true}, // our own error
		{&amqp.LimitError{Name: "channel-max", Limit: 63, Err: &amqp.Error{}}, CodeQuotaExceeded, false},
		{io.ErrUnexpectedEOF, CodeConnectionLost, true},
		{context.DeadlineExceeded, CodeTimeout, true},
		{context.Canceled, CodeCanceled, false},
		{ErrClosed, CodeClosed, false},
		{fmt.Errorf("within: %w", &Error{Code: CodeNoToken, Err: io.EOF}), CodeNoToken, false},
	} {
		e, ok := classify(c.err).(*Error)
		if !ok || e.Code != c.code || e.Transient != c.transient {
			t.Errorf("%T %v: %+v, want code %s, transient %v", c.err, c.err, e, c.code, c.transient)
		}
	}
	if classify(nil) != nil {
		t.Error("classify(nil) is not nil")
	}
}

func TestDialErrorsThatDoNotPass(t *testing.T) {
	for _, c := range []struct {
		err       error
		code      Code
		transient bool
		advice    string
	}{
		{&net.DNSError{IsNotFound: true, Name: "ns"}, CodeNotFound, false, "check the namespace's name"},
		{&net.DNSError{IsTimeout: true, Name: "ns"}, CodeConnectionLost, true, "the network"},
		{&tls.CertificateVerificationError{Err: errors.New("wrong name")}, CodeConnectionLost, false, "ConnectionOptions.TLSConfig"},
		{tls.RecordHeaderError{Msg: "not TLS"}, CodeConnectionLost, false, "UseDevelopmentEmulator=true"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, CodeConnectionLost, true, "the network"},
	} {
		e, ok := classifyDial(fmt.Errorf("dialling: %w", c.err)).(*Error)
		if !ok || e.Code != c.code || e.Transient != c.transient {
			t.Errorf("%T: %+v, want code %s, transient %v", c.err, e, c.code, c.transient)
		}
		if e != nil && !strings.Contains(e.Error(), c.advice) {
			t.Errorf("%T: %q does not say %q", c.err, e.Error(), c.advice)
		}
	}
}

func TestTrackingIDIsCutOutOfTheText(t *testing.T) {
	const id = "b1dd05e7-4e3b-4d2e-a1f9-7c61a1e3c0a5_G12"
	for _, c := range []struct{ name, description, text, id string }{
		{"the service's tail", "The messaging entity 'sb://ns/hub' could not be found. TrackingId:" + id + ", SystemTracker:gateway5, Timestamp:2026-01-01T00:00:00", "The messaging entity 'sb://ns/hub' could not be found.", id},
		{"at the end", "why TrackingId:" + id, "why", id},
		{"with a semicolon", "why; TrackingId:" + id + ";more", "why", id},
		{"none", " why ", "why", ""},
		{"nothing but", "TrackingId:", "", ""},
	} {
		text, got := cutTrackingID(c.description)
		if text != c.text || got != c.id {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, text, got, c.text, c.id)
		}
	}
}

func TestErrorTextSaysWhatHappenedAndWhatToCheck(t *testing.T) {
	err := classify(&amqp.Error{Condition: "amqp:not-found", Description: "no such hub. TrackingId:42, SystemTracker:x"})
	want := "amqp:not-found: no such hub. (tracking id 42); there is no such event hub in this namespace: check its name or EntityPath, and that it is the right namespace; or it was deleted"
	if err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
	if err := classify(errors.New("broken pipe")); !strings.HasPrefix(err.Error(), "broken pipe; check the port, the network") {
		t.Errorf("text %q", err)
	}
}

func TestStatusOfAReplyBecomesAnError(t *testing.T) {
	for _, c := range []struct {
		name       string
		properties map[string]any
		code       Code // empty for success
	}{
		{"success", map[string]any{"status-code": int32(202)}, ""},
		{"a narrow type", map[string]any{"status-code": int16(202)}, ""},
		{"the widest type", map[string]any{"status-code": uint64(404)}, CodeNotFound},
		{"the narrowest type", map[string]any{"status-code": uint8(200)}, ""},
		{"text", map[string]any{"status-code": "200"}, CodeInternal},
		{"other spelling, other type", map[string]any{"statusCode": int64(200)}, ""},
		{"condition", map[string]any{"status-code": int32(401), "error-condition": amqp.Symbol("com.microsoft:auth-failed"), "status-description": "bad"}, CodeUnauthorized},
		{"condition as string", map[string]any{"status-code": int32(500), "error-condition": "amqp:not-found"}, CodeNotFound},
		{"status alone", map[string]any{"status-code": int32(503)}, CodeThrottled},
		{"gone, which fences nobody", map[string]any{"status-code": int32(410)}, CodeInternal},
		{"unknown status", map[string]any{"status-code": int32(418), "status-description": "teapot"}, CodeInternal},
		{"no status", nil, CodeInternal},
	} {
		err := replyStatus(&amqp.Message{ApplicationProperties: asMap(c.properties)})
		e, ok := errors.AsType[*Error](err)
		if ok != (c.code != "") || ok && e.Code != c.code {
			t.Errorf("%s: error %v, want code %q", c.name, err, c.code)
		}
	}
}

func TestContextErrorKeepsTheCause(t *testing.T) {
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if err := ContextError(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Errorf("error %v, want both the context's and its cause", err)
	}
	plain, cancelPlain := context.WithCancel(t.Context())
	cancelPlain()
	if err := ContextError(plain); err != context.Canceled {
		t.Errorf("error %v, want context.Canceled alone", err)
	}
}
