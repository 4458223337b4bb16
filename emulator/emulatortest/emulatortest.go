// Package emulatortest starts an emulator for a test: closed when the test ends, logging to it.
package emulatortest

import (
	"log/slog"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// New starts a server that tb closes at its end; nil options mean the defaults. If options name no
// Logger, the server logs to tb's output. A server that cannot start fails the test at once, so New must be
// called by the goroutine that runs it.
//
// For virtual time call it inside the synctest bubble, with Addr [emulator.InMemory].
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
