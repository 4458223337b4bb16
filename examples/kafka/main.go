// A program that used Kafka's producer now uses this one. A record becomes an event (key, value,
// headers), and keeps its callback as the event's Tag. KeyPartitioner puts keys where Kafka's own
// partitioner puts them, so that Kafka clients on the same event hub agree. The document
// docs/from-kafka.md compares the options, and lists what is missing.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

// A Record is the type that the program already uses.
type Record struct {
	Key     string
	Value   []byte
	Headers map[string]any
}

// A Callback gets the outcome of one record. It gets no offset, since Event Hubs does not send it
// in an acknowledgement over AMQP.
type Callback func(partition string, outcome eventhubs.Outcome)

// A Producer has the method that the program already calls.
type Producer struct{ buffered *eventhubs.BufferedProducer }

func newProducer(connectionString string) (*Producer, error) {
	// The partition's next batch waits until this returns.
	callbacks := func(_ context.Context, batch *eventhubs.Batch) {
		for event := range batch.Events() {
			event.Tag.(Callback)(batch.PartitionID, batch.Outcome)
		}
	}
	buffered, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "", &eventhubs.Options{
		KeyPartitioner:   kafkaPartition,       // partitioner.class
		Partitioning:     eventhubs.Sticky,     // for records without a key
		MaxWaitTime:      eventhubs.SendAtOnce, // linger.ms=0
		MaxBufferedBytes: 32 << 20,             // buffer.memory
		OnBatchSucceeded: callbacks,
		OnBatchFailed:    callbacks,
	})
	return &Producer{buffered}, err
}

// Send buffers a record. While the buffer is full it waits, as long as ctx allows (max.block.ms).
func (p *Producer) Send(ctx context.Context, r Record, callback Callback) error {
	return p.buffered.Enqueue(ctx, &eventhubs.Event{Body: r.Value, Properties: r.Headers, PartitionKey: r.Key, Tag: callback})
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(10, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	producer, err := newProducer(h.ConnectionString)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.buffered.Close(ctx)) }()

	var mu sync.Mutex // guards lines: callbacks of different partitions run at the same time
	var lines []string
	for _, key := range []string{"21", "foobar", "a-little-bit-long-string", "abc"} {
		record := Record{Key: key, Value: []byte("value"), Headers: map[string]any{"source": "kafka"}}
		err := producer.Send(ctx, record, func(partition string, outcome eventhubs.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprintf("key %-26q murmur2 %11d  partition %s  %v", key, murmur2([]byte(key)), partition, outcome.Storage))
		})
		if err != nil {
			return err
		}
	}
	if err := producer.buffered.Flush(ctx); err != nil {
		return err
	}
	for _, line := range slices.Sorted(slices.Values(lines)) {
		fmt.Println(line)
	}
	return nil
}
