package eventhubs_test

// Every event that azeventhubs receives can be sent on. azevents.FromReceived keeps all of it.
// TimeSpan, DateTimeOffset and Uri, property types of .NET, are described values on the wire.
// JavaScript and Python send lists and maps.

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/azevents"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestForwardWhatWasReceived(t *testing.T) {
	property := func(value any) amqp.Message {
		return amqp.Message{Data: [][]byte{{1}}, ApplicationProperties: amqp.Map{{Key: "p", Value: value}}}
	}
	for name, message := range map[string]amqp.Message{
		"TimeSpan":       property(amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(10_000_000)}),
		"DateTimeOffset": property(amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(638_000_000_000_000_000)}),
		"Uri":            property(amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: "http://host/"}),
		"map":            property(amqp.Map{{Key: "a", Value: int64(1)}}),
		"list":           property(amqp.List{int64(1), "x"}),
		"no body":        {Annotations: amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}}}, // a tombstone of a compacted hub
	} {
		t.Run(name, func(t *testing.T) {
			server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "from", Partitions: 1}, {Name: "to", Partitions: 1}}})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			send(t, server, &message)
			event := receive(ctx, t, server)

			sdk, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString("to"), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer sdk.Close(context.Background())
			batch, err := sdk.NewEventDataBatch(ctx, nil)
			if err == nil {
				err = batch.AddAMQPAnnotatedMessage(event.RawAMQPMessage, nil)
			}
			if err == nil {
				err = sdk.SendEventDataBatch(ctx, batch, nil)
			}
			if err != nil {
				t.Fatalf("the SDK cannot send it on: %v", err)
			}
			p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("to"), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Enqueue(ctx, azevents.FromReceived(event)); err != nil {
				t.Errorf("Enqueue of the received event: %v", err)
			}
			if err := p.Enqueue(ctx, &eventhubs.Event{Body: event.Body, Properties: event.Properties}); err != nil {
				t.Errorf("Enqueue: %v", err)
			}
			if err := p.Close(ctx); err != nil {
				t.Error(err)
			}
			if ours, ok := server.Event("to", "0", 1); ok && len(message.Data) == 0 && bytes.HasSuffix(ours.Message, []byte{0x00, 0x53, 0x75, 0xa0, 0x00}) {
				t.Error("a message without a body gets an empty data section on its way")
			}
		})
	}
}

func send(t *testing.T, server *emulator.Server, message *amqp.Message) {
	t.Helper()
	encoded, err := message.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	properties, err := azeventhubs.ParseConnectionString(server.ConnectionString("from"))
	if err != nil {
		t.Fatal(err)
	}
	conn := connection.New(connection.Config{Namespace: properties.FullyQualifiedNamespace, Plain: true, Tokens: connection.TokensFromKey(*properties.SharedAccessKeyName, *properties.SharedAccessKey)})
	defer conn.Close(context.Background())
	sender := conn.Sender("from", "0", "")
	if err := sender.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if result := sender.Send(t.Context(), connection.BatchOf(encoded)); result.Err != nil {
		t.Fatal(result.Err)
	}
}

func receive(ctx context.Context, t *testing.T, server *emulator.Server) *azeventhubs.ReceivedEventData {
	t.Helper()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(server.ConnectionString("from"), "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close(context.Background())
	partition, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}})
	if err != nil {
		t.Fatal(err)
	}
	defer partition.Close(context.Background())
	events, err := partition.ReceiveEvents(ctx, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return events[0]
}
