package dashboard_test

import (
	"context"
	"log"
	"log/slog"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

// journaled is the history of a producer with a journal in a directory. Events are in the journal
// at each scrape, since their answer comes after it.
func journaled(t *testing.T) *history {
	t.Helper()
	h, arrived, answer := newHistory(t), make(chan struct{}), make(chan struct{})
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: "orders", Partitions: 2}},
		Hook: func(ctx context.Context, op emulator.Operation) emulator.Action {
			if op.Kind != emulator.KindTransfer {
				return emulator.Pass()
			}
			for _, c := range []chan struct{}{arrived, answer} {
				select {
				case c <- struct{}{}:
				case <-ctx.Done():
				}
			}
			return emulator.Pass()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	options := &eventhubs.Options{
		Logger:  slog.New(slog.DiscardHandler),
		Journal: &eventhubs.JournalOptions{Directory: t.TempDir(), KeepFree: -1},
	}
	metrics, err := metricsserver.Start("127.0.0.1:0", options, log.New(t.Output(), "", 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = metrics.Close(context.Background()) })
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("orders"), "", options)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := producer.Enqueue(t.Context(), &eventhubs.Event{PartitionID: "0"}); err != nil {
			t.Fatal(err)
		}
		<-arrived
		h.scrape(t, "http://"+metrics.Addr()+"/metrics")
		<-answer
	}
	if err := producer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}
