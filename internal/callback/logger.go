package callback

import (
	"context"
	"log/slog"
)

// Logger returns a logger whose handler is called by Call; nil for nil. If a handler ends its
// goroutine, the record is lost.
func Logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return nil
	}
	switch h := l.Handler(); h.(type) {
	case handler:
		return l
	default:
		if h == slog.DiscardHandler {
			return l
		}
		return slog.New(handler{h})
	}
}

// A handler is an application's slog.Handler.
type handler struct{ application slog.Handler }

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	enabled, _ := Result("slog.Handler.Enabled", func() (bool, error) { return h.application.Enabled(ctx, level), nil })
	return enabled
}

func (h handler) Handle(ctx context.Context, record slog.Record) (err error) {
	if ended := Call("slog.Handler.Handle", func() { err = h.application.Handle(ctx, record) }); ended != nil {
		return ended
	}
	return err
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with("slog.Handler.WithAttrs", func() slog.Handler { return h.application.WithAttrs(attrs) })
}

func (h handler) WithGroup(name string) slog.Handler {
	return h.with("slog.Handler.WithGroup", func() slog.Handler { return h.application.WithGroup(name) })
}

// with returns the handler that f makes, or h if f does not return.
func (h handler) with(function string, f func() slog.Handler) slog.Handler {
	made, err := Result(function, func() (slog.Handler, error) { return f(), nil })
	if err != nil {
		return h
	}
	return handler{made}
}
