package main

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs"
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

func TestThePublicationsStateNamesTheReasonOfTrouble(t *testing.T) {
	server := startServer(t)
	p := program{}.process(io.Discard, io.Discard)
	opts, err := parsePublish(p, []string{"--connection-string", server.ConnectionString("events"), "--partition", "0", "-"})
	if err != nil {
		t.Fatal(err)
	}
	to, err := openTarget(opts)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := newPublication(p, to, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pub.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pub.look().reason; got != "" {
		t.Errorf("before: got %q want nothing", got)
	}
	var busy atomic.Bool
	busy.Store(true)
	seen := make(chan string, 1)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindTransfer {
			return emulator.Pass()
		}
		if busy.Swap(false) {
			return emulator.Reject("com.microsoft:server-busy", "Please wait 1 milliseconds and try again.")
		}
		seen <- pub.look().reason
		return emulator.Pass()
	})
	if _, err := pub.producer.Publish(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; !strings.HasPrefix(got, "throttled: ") || !strings.Contains(got, "server-busy") {
		t.Errorf("during the trouble: got %q, want the state and the service's reason", got)
	}
	if got := pub.look().reason; got != "" {
		t.Errorf("after: got %q want nothing", got)
	}
	if err := pub.leave(t.Context()); err != nil {
		t.Fatal(err)
	}
}
