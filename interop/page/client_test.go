package page_test

import (
	"context"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// newProducer makes Microsoft's client for sending, which does not retry. It ends with the test.
func newProducer(t *testing.T, server *emulator.Server, hub, name string) *azeventhubs.ProducerClient {
	t.Helper()
	producer, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString(hub), "", &azeventhubs.ProducerClientOptions{
		ApplicationID: name, RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close(context.WithoutCancel(t.Context())) })
	return producer
}

// publish sends events to a partition in one batch.
func publish(ctx context.Context, producer *azeventhubs.ProducerClient, partition string, events ...*azeventhubs.EventData) error {
	batch, err := producer.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &partition})
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := batch.AddEventData(e, nil); err != nil {
			return err
		}
	}
	return producer.SendEventDataBatch(ctx, batch, nil)
}

// receive reads n events of a partition with Microsoft's client, from a start.
func receive(t *testing.T, server *emulator.Server, hub, partition string, start azeventhubs.StartPosition, n int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(server.ConnectionString(hub), "", "$Default", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close(context.WithoutCancel(ctx)) }()
	reader, err := consumer.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{StartPosition: start})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close(context.WithoutCancel(ctx)) }()
	var all []*azeventhubs.ReceivedEventData
	for len(all) < n {
		events, err := reader.ReceiveEvents(ctx, n-len(all), nil)
		if err != nil {
			t.Fatalf("%d of %d events were read: %v", len(all), n, err)
		}
		all = append(all, events...)
	}
	return all
}

func fromSequence(n int64) azeventhubs.StartPosition {
	return azeventhubs.StartPosition{SequenceNumber: &n, Inclusive: true}
}

func fromTime(at time.Time) azeventhubs.StartPosition {
	at = at.Add(-time.Millisecond) // this start excludes the time itself
	return azeventhubs.StartPosition{EnqueuedTime: &at}
}
