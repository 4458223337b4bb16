package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// wholeProducer publishes with the buffered producer itself, which needs $cbs and $management. The
// server decodes each event.
func wholeProducer(ctx context.Context, d *bed) (string, error) {
	const events, partitions = 5_000, 4
	endpoint := "Endpoint=sb://" + net.JoinHostPort("127.0.0.1", d.port) +
		";SharedAccessKeyName=key;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true"
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(endpoint, "producer", nil)
	if err != nil {
		return "", err
	}
	want := make([][]sent, partitions)
	bytes := 0
	for i := range events {
		key := "key-" + strconv.Itoa(i%100)
		event := d.source.batch(1, 10+i%1500)[0][8:] // without the section's head
		properties := map[string]any{"number": int64(i), "text": key}
		err = producer.Enqueue(ctx, &eventhubs.Event{Body: event, Properties: properties, PartitionKey: key})
		if err != nil {
			break
		}
		partition := partitionkey.Index(key, partitions)
		want[partition] = append(want[partition], sent{content: contentOf(batchFormat, [][]byte{event, propertiesText(properties)})})
		bytes += len(event)
	}
	if err := errors.Join(err, producer.Close(ctx)); err != nil {
		return "", err
	}
	for partition, all := range want {
		address := addressOf("producer", strconv.Itoa(partition))
		if d.relay != nil {
			if err := d.wantEvents(ctx, address, len(all)); err != nil {
				return "", err
			}
			continue
		}
		got, err := d.ledger.read(ctx, address, func(got []content) bool { return len(got) >= len(all) })
		if err := errors.Join(err, judge(all, got)); err != nil {
			return "", fmt.Errorf("partition %d: %w", partition, err)
		}
	}
	return fmt.Sprintf("%d events, %.1f MB", events, float64(bytes)/1e6), nil
}

// wantEvents wants so many events to arrive at a server that does not split batches.
func (d *bed) wantEvents(ctx context.Context, address string, want int) error {
	events := 0
	got, err := d.ledger.read(ctx, address, func(got []content) bool {
		events = 0
		for _, c := range got {
			events += c.sections
		}
		return events >= want
	})
	if err == nil && events != want {
		err = fmt.Errorf("%s: %d events arrived in %d batches, want %d", address, events, len(got), want)
	}
	return err
}

// propertiesText returns the server's report of an event's properties: JSON in the order of their
// names.
func propertiesText(properties map[string]any) []byte {
	text, _ := json.Marshal(properties) // never fails with numbers and texts
	return text
}
