package main

import (
	"context"
	"log/slog"
)

// A lineLog prints the records of a level and above, each as one line.
type lineLog struct {
	level slog.Level
	text  func(slog.Record) string // of a record; empty: no line
	print func(text string)
}

func (l *lineLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l *lineLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lineLog) WithGroup(string) slog.Handler                    { return l }

func (l *lineLog) Handle(_ context.Context, r slog.Record) error {
	if text := l.text(r); text != "" {
		l.print(text)
	}
	return nil
}
