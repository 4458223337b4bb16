package world

import (
	"cmp"
	"context"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// On returns a producer for a hub without a connection. It is closed when the test ends, unless the
// test closes it first. It logs nothing without a Logger.
func On(t *testing.T, hub testseam.Hub, options eventhubs.Options) *eventhubs.BufferedProducer {
	t.Helper()
	options.Logger = cmp.Or(options.Logger, scripted.Unlogged)
	return on(t, hub, options)
}

// Over is On for a scripted hub. If the hub is Aloud, a producer without a Logger logs to
// slog.Default.
func Over(hub *scripted.Hub, options eventhubs.Options) *eventhubs.BufferedProducer {
	hub.T.Helper()
	if hub.Aloud {
		return on(hub.T, hub, options)
	}
	return On(hub.T, hub, options)
}

// Connected returns a producer that knows its partitions.
func Connected(hub *scripted.Hub, options eventhubs.Options) *eventhubs.BufferedProducer {
	hub.T.Helper()
	producer := Over(hub, options)
	if err := producer.Connect(hub.T.Context(), nil); err != nil {
		hub.T.Fatal(err)
	}
	return producer
}

// Numbered returns an idempotent producer that retries at once.
func Numbered(hub *scripted.NumberedHub, options eventhubs.Options) *eventhubs.BufferedProducer {
	hub.T.Helper()
	options.EnableIdempotentRetries, options.Retry.RetryDelay = true, -1
	return On(hub.T, hub, options)
}

func on(t *testing.T, hub testseam.Hub, options eventhubs.Options) *eventhubs.BufferedProducer {
	t.Helper()
	made, err := testseam.NewProducer("test.example", "hub", hub, options)
	if err != nil {
		t.Fatal(err)
	}
	producer := made.(*eventhubs.BufferedProducer)
	t.Cleanup(func() {
		if !producer.IsClosed() {
			_ = producer.Close(context.Background())
		}
	})
	return producer
}
