package main

import (
	"log/slog"
	"strings"
)

// newEmulatorLog returns the emulator's Logger. It prints its warnings, each as one line; what else
// the emulator logs is for its developers.
func newEmulatorLog(tell func(text string)) *slog.Logger {
	return slog.New(&lineLog{slog.LevelWarn, emulatorLine, tell})
}

func emulatorLine(r slog.Record) string {
	var details []string
	r.Attrs(func(a slog.Attr) bool {
		details = append(details, a.Key+": "+a.Value.String())
		return true
	})
	text := strings.ToUpper(r.Message[:1]) + r.Message[1:]
	if len(details) > 0 {
		text += " (" + strings.Join(details, "; ") + ")"
	}
	return text + "."
}
