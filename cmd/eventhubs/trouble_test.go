package main

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// During trouble of the service, the command says why nothing moves, and that it goes on.
func TestPublishTellsTroubleAndItsEnd(t *testing.T) {
	server := startServer(t)
	var tries atomic.Int32
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && tries.Add(1) == 1 {
			return emulator.Reject("com.microsoft:server-busy", "The request was terminated. Please wait 1 milliseconds and try again.")
		}
		return emulator.Pass()
	})
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got := p.run(t, "publish", "--partition", "0", writeFile(t, "a\n"))
	got.want(t, exitOK)
	begins, ends := strings.Index(got.stderr, "The service is too busy; the producer retries: partition 0: com.microsoft:server-busy: "), strings.Index(got.stderr, "Publishing succeeds again\n")
	if begins < 0 || ends < begins || strings.Contains(got.stderr, "eady\n") || strings.Contains(got.stderr, "level=") {
		t.Errorf("standard error says\n%s", got.stderr)
	}
}
