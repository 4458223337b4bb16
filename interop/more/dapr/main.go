// Command dapr publishes events with Dapr's component pubsub.azure.eventhubs. The environment has
// the emulator's connection string and hub.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/components-contrib/pubsub/azure/eventhubs"
	"github.com/dapr/kit/logger"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	events, err := strconv.Atoi(os.Getenv("INTEROP_EVENTS"))
	if err != nil {
		return err
	}
	log := logger.NewLogger("interop")
	log.SetOutput(os.Stderr)
	hub := eventhubs.NewAzureEventHubs(log)
	err = hub.Init(ctx, pubsub.Metadata{Base: metadata.Base{Properties: map[string]string{
		"connectionString": os.Getenv("INTEROP_CONNECTION_STRING"),
	}}})
	if err != nil {
		return err
	}
	for i := range events {
		err := hub.Publish(ctx, &pubsub.PublishRequest{
			Topic:    os.Getenv("INTEROP_HUB"),
			Data:     fmt.Appendf(nil, "event-%d", i),
			Metadata: map[string]string{"partitionKey": partitionKey},
		})
		if err != nil {
			return err
		}
	}
	return hub.Close()
}

const partitionKey = "motor-7"
