package eventhubs

import (
	"context"
	"errors"
)

// Error returns the word. It makes a Code a target for errors.Is: errors.Is(err, [CodeThrottled]).
func (c Code) Error() string { return string(c) }

// CodeOf returns the code of an error. It describes what ended an event, a call or a wait, not an
// earlier failure that the error wraps. It is empty for nil and for an error without a code. For
// [ErrDeliveryTimeout] it is the code of the last failure, and for an [*UndeliveredError] that of
// the first.
//
// errors.Is with a Code asks for more: whether any of the errors that err wraps has the code.
func CodeOf(err error) Code {
	if c, ok := errors.AsType[coded](err); ok {
		return c.code()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	}
	return ""
}

// coded is an error with a code. In a tree of errors the first coded error says what happened; the
// others say why.
type coded interface {
	error
	code() Code
}

// A sentinel is an error for errors.Is. An error matches a sentinel if it matches its code, and the
// other way round.
type sentinel struct {
	is   Code
	text string
}

func newSentinel(code Code, text string) error { return &sentinel{code, text} }

func (s *sentinel) Error() string { return s.text }

func (s *sentinel) code() Code { return s.is }

// Is reports whether target is the sentinel's code.
func (s *sentinel) Is(target error) bool { return target == error(s.is) }

// isCode reports whether target is the code, or the sentinel that has it.
func isCode(code Code, target error) bool {
	if s, ok := target.(*sentinel); ok {
		return s.is == code
	}
	return target == error(code)
}

func (e *Error) code() Code { return e.Code }

// Is reports whether target is the error's code, or the sentinel with the same code.
func (e *Error) Is(target error) bool { return isCode(e.Code, target) }

func (e *EventTooLargeError) code() Code { return CodeTooLarge }
