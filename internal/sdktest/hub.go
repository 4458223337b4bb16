// Package sdktest uses azeventhubs, the official client, for the tests of several packages.
package sdktest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Store stores encoded messages unchanged in partition 0 of the hub in a connection string, over a
// connection without TLS.
func Store(t testing.TB, connectionString string, messages [][]byte) {
	t.Helper()
	properties, err := azeventhubs.ParseConnectionString(connectionString)
	if err != nil {
		t.Fatal(err)
	}
	conn := connection.New(connection.Config{Namespace: properties.FullyQualifiedNamespace, Plain: true, Tokens: connection.TokensFromKey(*properties.SharedAccessKeyName, *properties.SharedAccessKey)})
	defer conn.Close(context.Background())
	sender := conn.Sender(*properties.EntityPath, "0", "")
	for chunk := range slices.Chunk(messages, 50) {
		if result := sender.Send(t.Context(), connection.BatchOf(chunk...)); result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}

// Receive returns the first n events of partition 0 of the hub in a connection string. It fails the
// test if there are fewer within a minute, or one cannot be read.
func Receive(t testing.TB, connectionString string, n int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(connectionString, "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close(context.Background())
	partition, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}})
	if err != nil {
		t.Fatal(err)
	}
	defer partition.Close(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, err := partition.ReceiveEvents(ctx, n, nil)
	if err != nil {
		t.Fatalf("azeventhubs received %d of %d: %v", len(events), n, err)
	}
	return events
}
