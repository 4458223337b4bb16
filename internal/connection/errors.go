package connection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Code names the kind of failure in one stable word.
type Code string

// The codes. Each comment says what Error.Transient is for the code unless an Error says otherwise.
const (
	CodeUnauthorized     Code = "unauthorized"      // the service refused the token or its rights; not transient
	CodeNoToken          Code = "no-token"          // the token source gave no token; not transient
	CodeNotFound         Code = "not-found"         // no such event hub or host; not transient
	CodePartitionUnknown Code = "partition-unknown" // the hub has no such partition; not transient
	CodeDisabled         Code = "disabled"          // the event hub is switched off; not transient
	CodeThrottled        Code = "throttled"         // the service asks to wait; transient
	CodeQuotaExceeded    Code = "quota-exceeded"    // too many connections, links or bytes; not transient
	CodeTooLarge         Code = "too-large"         // the message is larger than the link allows; transient if another message on the same link may be the cause, else not
	CodeFenced           Code = "fenced"            // another producer has taken over; not transient
	CodeOutOfOrder       Code = "out-of-order"      // an idempotent producer's numbers do not follow the stored ones; not transient
	CodeNotSupported     Code = "not-supported"     // the service does not offer idempotent publishing; not transient
	CodeConnectionLost   Code = "connection-lost"   // the connection or link broke, or could not be opened; transient, unless the peer is not the expected one
	CodeTimeout          Code = "timeout"           // no answer in time; transient
	CodeCanceled         Code = "canceled"          // the caller's context was cancelled; not transient
	CodeClosed           Code = "connection-closed" // the Conn or Sender was closed; not transient
	CodeRejected         Code = "rejected"          // refused for another reason, see Condition; not transient
	CodeReleased         Code = "released"          // given back without being stored (released or modified); transient
	CodeInternal         Code = "internal"          // a fault of the service, or an answer that makes no sense; transient
)

// Error is why something failed. It unwraps to its cause.
type Error struct {
	Code        Code
	Condition   string // the AMQP error condition; empty if the peer sent none
	Description string // the peer's text without its tracking id; empty if it sent none
	TrackingID  string // the service's own id of the failure; empty if it sent none
	Transient   bool   // the same try may succeed later without any change
	Err         error  // the cause, never nil

	// Wait is set with CodeThrottled: how long the service's text asks to wait, at most maxWait; 0
	// if it does not say.
	Wait time.Duration

	// Limit is set with CodeTooLarge: the limit in bytes that the service's text states; 0 if it
	// states none.
	Limit int

	// Lost says that an open link, session or connection broke, or was found broken by the try, and
	// that this was the only obstacle. One immediate try on a new link makes sense; if that is lost
	// too, wait. Lost is false if the link could not be opened, was refused, or was given up
	// because the caller's context ended. It is also false if the reason would fail the next try as
	// well, as throttling and fencing do.
	Lost bool

	// Unreached says that there is no connection, and that none could be opened or none in time,
	// for whatever reason (name, dial, TLS, SASL, open). So no partition of the namespace can be
	// reached. A caller that waits before its next try may wait for Conn.Opened too.
	Unreached bool

	// Refused says that the service refused the attach of a link, whatever reason it states. The
	// token and the connection were accepted.
	Refused bool

	answered bool // it is the answer to a request: the node works
}

// Error says what happened, then what to do about it: see Advise.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Condition != "":
		fmt.Fprintf(&b, "%s: %s", e.Condition, e.Description)
	default:
		b.WriteString(e.Err.Error())
	}
	if e.TrackingID != "" {
		fmt.Fprintf(&b, " (tracking id %s)", e.TrackingID)
	}
	if hint := Advise(e, Setting{}); hint != "" {
		b.WriteString("; " + hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// conditions maps each condition that the service sends to a code. An unknown condition counts as a
// passing fault of the service: a few useless retries are better than giving up a batch that could
// succeed.
var conditions = map[amqp.Symbol]struct {
	code      Code
	transient bool
}{
	"com.microsoft:server-busy":           {CodeThrottled, true},
	"com.microsoft:timeout":               {CodeTimeout, true},
	"com.microsoft:operation-cancelled":   {CodeInternal, true},
	"com.microsoft:container-close":       {CodeConnectionLost, true},
	"com.microsoft:partition-not-owned":   {CodeConnectionLost, true},
	"com.microsoft:store-lock-lost":       {CodeConnectionLost, true},
	"amqp:internal-error":                 {CodeInternal, true},
	"amqp:link:detach-forced":             {CodeConnectionLost, true},
	"amqp:connection:forced":              {CodeConnectionLost, true},
	"amqp:connection:redirect":            {CodeConnectionLost, true},
	"amqp:link:redirect":                  {CodeConnectionLost, true},
	"amqp:link:transfer-limit-exceeded":   {CodeConnectionLost, true},
	"amqp:connection:framing-error":       {CodeConnectionLost, true},
	"amqp:session:window-violation":       {CodeConnectionLost, true},
	"amqp:session:unattached-handle":      {CodeConnectionLost, true},
	"amqp:session:errant-link":            {CodeConnectionLost, true},
	"amqp:session:handle-in-use":          {CodeConnectionLost, true},
	"amqp:unauthorized-access":            {CodeUnauthorized, false},
	"com.microsoft:auth-failed":           {CodeUnauthorized, false},
	"com.microsoft:publisher-revoked":     {CodeUnauthorized, false},
	"amqp:not-found":                      {CodeNotFound, false},
	"amqp:resource-deleted":               {CodeNotFound, false},
	"com.microsoft:entity-disabled":       {CodeDisabled, false},
	"amqp:link:message-size-exceeded":     {CodeTooLarge, false},
	"amqp:resource-limit-exceeded":        {CodeQuotaExceeded, false},
	"com.microsoft:argument-out-of-range": {CodePartitionUnknown, false},
	"com.microsoft:argument-error":        {CodeRejected, false},
	"amqp:invalid-field":                  {CodeRejected, false},
	"amqp:frame-size-too-small":           {CodeRejected, false},
	"amqp:decode-error":                   {CodeRejected, false},
	"amqp:not-allowed":                    {CodeRejected, false},
	"amqp:not-implemented":                {CodeRejected, false},
	"amqp:illegal-state":                  {CodeRejected, false},
	"amqp:precondition-failed":            {CodeRejected, false},
	"com.microsoft:precondition-failed":   {CodeRejected, false},
	"amqp:link:stolen":                    {CodeFenced, false},

	"com.microsoft:producer-epoch-stolen":    {CodeFenced, false},
	"com.microsoft:out-of-order-sequence":    {CodeOutOfOrder, false},
	"com.microsoft:address-already-in-use":   {CodeRejected, false},
	"com.microsoft:entity-already-exists":    {CodeRejected, false},
	"com.microsoft:message-lock-lost":        {CodeRejected, false},
	"com.microsoft:session-cannot-be-locked": {CodeRejected, false},
}

// classify gives an error of the engine, of a context or of this package its code. It returns nil
// for nil, and an *Error as it is, without its wrapping.
func classify(err error) error {
	if err == nil {
		return nil
	}
	return asError(err)
}

func asError(err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if remote, ok := errors.AsType[*amqp.RemoteError](err); ok {
		return remoteError(remote.Err, err)
	}
	if limit, ok := errors.AsType[*amqp.LimitError](err); ok {
		return &Error{Code: CodeQuotaExceeded, Err: fmt.Errorf("the connection has no room for another link, each of which takes a session: %w", limit)}
	}
	// The engine's own errors about the end of a link did not come from the peer, and must not look
	// as if they did.
	if e, ok := errors.AsType[*amqp.Error](err); ok && !errorOfLink(err) {
		return remoteError(e, err)
	}
	switch {
	case errorOfLink(err):
		return &Error{Code: CodeConnectionLost, Transient: true, Lost: true, Err: err}
	case errors.Is(err, ErrClosed):
		return &Error{Code: CodeClosed, Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeCanceled, Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Code: CodeTimeout, Transient: true, Err: err}
	}
	return &Error{Code: CodeConnectionLost, Transient: true, Err: err}
}

// errorOfLink reports whether an error means that the link, its session or its connection is gone.
func errorOfLink(err error) bool {
	return errors.Is(err, amqp.ErrDetached) || errors.Is(err, amqp.ErrEnded) || errors.Is(err, amqp.ErrClosed)
}

// remoteError classifies a peer's error; cause is the error that it arrived in.
func remoteError(remote *amqp.Error, cause error) *Error {
	class, known := conditions[remote.Condition]
	if !known {
		class.code, class.transient = CodeInternal, true
	}
	e := &Error{Code: class.code, Condition: string(remote.Condition), Transient: class.transient, Err: cause}
	e.Description, e.TrackingID = cutTrackingID(remote.Description)
	switch e.Code {
	case CodeThrottled:
		e.Wait = askedWait(e.Description)
	case CodeTooLarge:
		e.Limit = statedLimit(e.Description)
	case CodeUnauthorized:
		e.Lost = errorOfLink(cause) // the next link gets a fresh token
	default:
		e.Lost = e.Transient && errorOfLink(cause)
	}
	return e
}

// classifyDial gives an error of opening a connection its code.
func classifyDial(err error) error {
	e := dialError(err)
	e.Lost, e.Unreached = false, e.Code != CodeCanceled && e.Code != CodeClosed
	return e
}

// dialError finds the failures that are permanent while dialling, but passing on an open
// connection.
func dialError(err error) *Error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return &Error{Code: CodeNotFound, Err: err}
	}
	if distrusted, noTLS := tlsFault(err); distrusted || noTLS {
		return &Error{Code: CodeConnectionLost, Err: err}
	}
	if LetsNobodyIn(err) {
		return &Error{Code: CodeConnectionLost, Err: err}
	}
	return new(*asError(err)) // a copy, since it is changed
}

// LetsNobodyIn reports whether a peer has answered that it refuses this client: by a TLS alert or
// by SASL.
func LetsNobodyIn(err error) bool {
	_, refused := errors.AsType[*amqp.SASLError](err)
	return refused || tlsAlert(err) != ""
}

// tlsAlert is why a peer has ended TLS, in the words of crypto/tls, which has no type for it; empty
// if the peer has not.
func tlsAlert(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err != nil {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// tlsFault finds a peer whose certificate is not trusted, and a peer that does not speak TLS.
func tlsFault(err error) (distrusted, noTLS bool) {
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, badRecord := errors.AsType[tls.RecordHeaderError](err)
	return badCertificate || unknownAuthority, badRecord
}

// statusError is the failure that a reply of $cbs or $management reports.
func statusError(status int, condition, description string) *Error {
	if condition == "" {
		condition = string(statusConditions[status])
	}
	remote := &amqp.Error{Condition: amqp.Symbol(condition), Description: description}
	if condition == "" {
		remote.Condition, remote.Description = "amqp:internal-error", fmt.Sprintf("status %d: %s", status, description)
	}
	e := remoteError(remote, remote)
	e.answered = true
	return e
}

// statusConditions is for replies without a condition. 410 is missing: elsewhere it stands for
// amqp:link:stolen, but in a reply to a request it does not.
var statusConditions = map[int]amqp.Symbol{
	400: "com.microsoft:argument-error",
	401: "amqp:unauthorized-access",
	403: "amqp:resource-limit-exceeded",
	404: "amqp:not-found",
	408: "com.microsoft:timeout",
	500: "amqp:internal-error",
	501: "amqp:not-implemented",
	503: "com.microsoft:server-busy",
}

// cutTrackingID removes the tail that the service adds to its descriptions, "… TrackingId:<id>,
// SystemTracker:<x>, Timestamp:<t>", and returns the id.
func cutTrackingID(description string) (text, id string) {
	text, tail, found := strings.Cut(description, "TrackingId:")
	if !found {
		return strings.TrimSpace(description), ""
	}
	if end := strings.IndexAny(tail, ", \t\r\n;)]"); end >= 0 {
		tail = tail[:end]
	}
	return strings.TrimRight(text, " \t\r\n,;(["), tail
}

func closedError() error {
	return &Error{Code: CodeClosed, Err: ErrClosed}
}

// ContextError returns an error for a context that has ended. errors.Is finds both ctx.Err() and
// the context's cause.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
