package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-eventhubs/eventhubs"
)

// An earthquake is a line of examples/data/earthquakes.ndjson: its key and its bytes.
type earthquake struct{ key, body string }

// earthquakes reads the file. The program must run in this module's folder.
func earthquakes() (all []earthquake, err error) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "data", "earthquakes.ndjson"))
	if err != nil {
		return nil, fmt.Errorf("run this in the module's folder, as with go -C interop: %w", err)
	}
	for line := range bytes.Lines(text) {
		var e struct{ Properties struct{ Net string } }
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		all = append(all, earthquake{e.Properties.Net, string(bytes.TrimRight(line, "\r\n"))})
	}
	return all, nil
}

// publishOurs publishes the earthquakes with this project's buffered producer.
func (w *world) publishOurs(ctx context.Context) error {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString(""), hubOf(nameOurs), nil)
	if err != nil {
		return err
	}
	for _, e := range w.earthquakes {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(e.body), PartitionKey: e.key}); err != nil {
			return err
		}
	}
	return producer.Close(ctx)
}

// judgeOurs wants the client to have read every line once, byte for byte, with its key, and in the
// file's order within the key.
func judgeOurs(w *world, o *observation) error {
	// The partitions arrive in any order, each in its own order.
	slices.SortStableFunc(o.Received, func(a, b received) int { return cmp.Compare(a.Key, b.Key) })
	want := slices.Clone(w.earthquakes)
	slices.SortStableFunc(want, func(a, b earthquake) int { return cmp.Compare(a.key, b.key) })
	if len(o.Received) != len(want) {
		return fmt.Errorf("the client received %d events, want %d", len(o.Received), len(want))
	}
	for i, r := range o.Received {
		if got := (earthquake{r.Key, r.Body}); got != want[i] {
			return fmt.Errorf("event %d of key %q is %.100q, want %.100q", i, got.key, got.body, want[i].body)
		}
	}
	return nil
}
