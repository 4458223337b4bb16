// Package emulatortest starts an emulator that logs to a test and closes when the test ends.
package emulatortest

import (
	"log/slog"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// New starts a server that tb closes at its end; nil options mean the defaults. If options has no
// Logger, the server logs to tb's output. If the server cannot start, the test fails at once. So
// the goroutine that runs the test must call New.
//
// For virtual time call New inside the synctest bubble, with Addr [emulator.InMemory].
func New(tb testing.TB, options *emulator.Options) *emulator.Server {
	tb.Helper()
	var opts emulator.Options
	if options != nil {
		opts = *options
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	server, err := emulator.New(&opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Errorf("closing the emulator: %v", err)
		}
	})
	return server
}
