package amqp

import (
	"fmt"
	"strings"
)

// Error conditions of the specification (2.8.15 to 2.8.18).
const (
	ErrorInternal           Symbol = "amqp:internal-error"
	ErrorNotFound           Symbol = "amqp:not-found"
	ErrorUnauthorizedAccess Symbol = "amqp:unauthorized-access"
	ErrorDecode             Symbol = "amqp:decode-error"
	ErrorResourceLimit      Symbol = "amqp:resource-limit-exceeded"
	ErrorNotAllowed         Symbol = "amqp:not-allowed"
	ErrorInvalidField       Symbol = "amqp:invalid-field"
	ErrorNotImplemented     Symbol = "amqp:not-implemented"
	ErrorResourceLocked     Symbol = "amqp:resource-locked"
	ErrorPreconditionFailed Symbol = "amqp:precondition-failed"
	ErrorResourceDeleted    Symbol = "amqp:resource-deleted"
	ErrorIllegalState       Symbol = "amqp:illegal-state"
	ErrorFrameSizeTooSmall  Symbol = "amqp:frame-size-too-small"

	ErrorConnectionForced Symbol = "amqp:connection:forced"
	ErrorFraming          Symbol = "amqp:connection:framing-error"

	ErrorWindowViolation  Symbol = "amqp:session:window-violation"
	ErrorErrantLink       Symbol = "amqp:session:errant-link"
	ErrorHandleInUse      Symbol = "amqp:session:handle-in-use"
	ErrorUnattachedHandle Symbol = "amqp:session:unattached-handle"

	ErrorDetachForced        Symbol = "amqp:link:detach-forced"
	ErrorTransferLimit       Symbol = "amqp:link:transfer-limit-exceeded"
	ErrorMessageSizeExceeded Symbol = "amqp:link:message-size-exceeded"
	ErrorLinkRedirect        Symbol = "amqp:link:redirect"
	ErrorLinkStolen          Symbol = "amqp:link:stolen"
)

// Error is AMQP's error: the cause that a close, end, detach or rejected states (2.8.14).
type Error struct {
	Condition   Symbol
	Description string // may be empty
	Info        Map    // may be nil
}

// Error returns the condition and the description.
func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Description
}

// errorOverhead is how many bytes the frame of an error needs besides condition and description; a
// disposition needs most.
const errorOverhead = 96

// brief is the part of e that fits into frames of size bytes: no Info, and the beginning of the
// description. A condition that is too long moves into the description of an internal error.
func (e *Error) brief(size int) *Error {
	room := size - errorOverhead
	condition, description := e.Condition, e.Description
	if len(condition) > room {
		condition, description = ErrorInternal, e.Error()
	}
	return &Error{Condition: condition, Description: cut(description, room-len(condition))}
}

// cut returns text in at most size bytes: whole, or its beginning with an ellipsis.
func cut(text string, size int) string {
	const more = "…"
	if len(text) <= size {
		return text
	}
	if size < len(more) {
		return ""
	}
	return strings.ToValidUTF8(text[:size-len(more)], "") + more
}

// errorf makes an Error whose description is formatted.
func errorf(condition Symbol, format string, args ...any) *Error {
	return &Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

func (e *Error) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descError)
	c.put(AppendSymbol(c.dst, e.Condition))
	// A description often quotes the peer's text, which may not be UTF-8.
	c.str(strings.ToValidUTF8(e.Description, "\uFFFD"))
	c.mapping(e.Info)
	return c.whole()
}

// error appends an error field, nil as null.
func (c *composite) error(e *Error) {
	if e == nil {
		c.null()
		return
	}
	dst, err := e.appendTo(c.dst)
	c.fail(err)
	c.put(dst)
}

func (f *fields) error(dst **Error) {
	descriptor, inner, ok := f.composite()
	if !ok {
		return
	}
	if descriptor != descError {
		f.err = fmt.Errorf("%w: descriptor 0x%x where an error must be", ErrMalformed, descriptor)
		return
	}
	e := new(Error)
	inner.symbol(&e.Condition)
	inner.str(&e.Description)
	inner.mapping(&e.Info)
	f.err = inner.err
	*dst = e
}
