package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// newTroubleLog returns the producer's Logger. It prints a line for each change of the producer's
// health, for trouble that lasts, and for trouble of the journal. The publication reports all else
// in its own way.
func newTroubleLog(line func(text string)) *slog.Logger {
	return slog.New(&lineLog{slog.LevelInfo, troubleLine, line})
}

func troubleLine(r slog.Record) string {
	if strings.HasPrefix(r.Message, "journal: ") {
		return journalLine(r)
	}
	attributes := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		attributes[a.Key] = a.Value
		return true
	})
	text := strings.TrimPrefix(r.Message, "eventhubs: ")
	if _, ofHealth := attributes["state"]; !ofHealth || text == "" || text == "ready" {
		return ""
	}
	if since, lasting := attributes["since"]; lasting {
		text += fmt.Sprintf(" since %v: %v tries, %v events buffered", since.Time().Local().Format(time.TimeOnly), attributes["tries"], attributes["buffered"])
	}
	if err, ok := attributes["error"]; ok {
		text += ": " + strings.TrimPrefix(err.String(), "eventhubs: ")
		text = strings.ReplaceAll(text, "switch EnableIdempotentRetries off", "publish with --at-least-once")
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
