package main

import (
	"context"
	"log/slog"
	"strings"
)

// An emulatorLog is the emulator's Logger. It prints its warnings, each as one line; what else the
// emulator logs is for its developers.
type emulatorLog struct {
	tell func(text string)
}

func (l *emulatorLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}
func (l *emulatorLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *emulatorLog) WithGroup(string) slog.Handler      { return l }

func (l *emulatorLog) Handle(_ context.Context, r slog.Record) error {
	var details []string
	r.Attrs(func(a slog.Attr) bool {
		details = append(details, a.Key+": "+a.Value.String())
		return true
	})
	text := strings.ToUpper(r.Message[:1]) + r.Message[1:]
	if len(details) > 0 {
		text += " (" + strings.Join(details, "; ") + ")"
	}
	l.tell(text + ".")
	return nil
}
