package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A troubleLog is the producer's Logger. It prints a line for each change of the producer's health,
// for trouble that lasts, and for trouble of the journal. The publication reports all else in its
// own way.
type troubleLog struct {
	line func(text string)
}

func (t *troubleLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (t *troubleLog) WithAttrs([]slog.Attr) slog.Handler { return t }
func (t *troubleLog) WithGroup(string) slog.Handler      { return t }

func (t *troubleLog) Handle(_ context.Context, r slog.Record) error {
	attributes := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		attributes[a.Key] = a.Value
		return true
	})
	if strings.HasPrefix(r.Message, "journal: ") {
		t.line(journalLine(r))
		return nil
	}
	text := strings.TrimPrefix(r.Message, "eventhubs: ")
	if _, ofHealth := attributes["state"]; !ofHealth || text == "" || text == "ready" {
		return nil
	}
	if since, lasting := attributes["since"]; lasting {
		text += fmt.Sprintf(" since %v: %v tries, %v events buffered", since.Time().Local().Format(time.TimeOnly), attributes["tries"], attributes["buffered"])
	}
	if err, ok := attributes["error"]; ok {
		text += ": " + strings.TrimPrefix(err.String(), "eventhubs: ")
		text = strings.ReplaceAll(text, "switch EnableIdempotentRetries off", "publish with --at-least-once")
	}
	t.line(strings.ToUpper(text[:1]) + text[1:])
	return nil
}
