// Command faults sends or receives under the faults of the runner (see ../../faults.go). It uses
// Azure's client for Go or this project's buffered producer, both with default options. All hubs of
// the command line run at the same time, after short pauses. It prints one JSON object a line:
//
//	{"client": …, "version": …}
//	{"hub": …, "ready": true}                                        connected; the fault's turn
//	{"hub": …, "seconds": …, "events": …, "class": …, "message": …}  the outcome
//	{"hub": …, "closed": …}                                          seconds that Close took
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
)

// staggered is the time between the starts of two hubs, so that they do not slow each other down.
const staggered = 100 * time.Millisecond

var connectionString = os.Getenv("INTEROP_CONNECTION_STRING")

var say = func() func(any) {
	var mu sync.Mutex
	encoder := json.NewEncoder(os.Stdout)
	return func(line any) {
		mu.Lock()
		defer mu.Unlock()
		if err := encoder.Encode(line); err != nil {
			panic(err)
		}
	}
}()

// A client can send to a hub, or receive its five events.
type client struct {
	name, version string
	send          func(ctx context.Context, hub string, blind bool) (outcome func() error, closing func(), err error)
}

func main() {
	c := client{"azeventhubs", "", sendWithAzure}
	if os.Args[1] == "ours" {
		c = client{"eventhubs", "", sendWithOurs}
	}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if os.Args[1] != "ours" && strings.HasSuffix(module.Path, "/azeventhubs/v2") {
			c.version = strings.TrimPrefix(module.Version, "v")
		}
	}
	say(map[string]any{"client": c.name, "version": c.version})
	var wg sync.WaitGroup
	for i, argument := range os.Args[2:] {
		hub, role, _ := strings.Cut(argument, "=")
		// Ends with its client, or with this program, which the runner ends.
		wg.Go(func() {
			time.Sleep(time.Duration(i) * staggered)
			if role == "receive" {
				receive(hub)
			} else {
				c.run(hub, role == "blind")
			}
		})
	}
	wg.Wait()
}

// run sends one event and closes the client. A blind client does not connect before.
func (c client) run(hub string, blind bool) {
	send, closing, err := c.send(context.Background(), hub, blind)
	if err != nil {
		report(hub, time.Now(), 0, err)
		return
	}
	say(map[string]any{"hub": hub, "ready": true})
	began := time.Now()
	report(hub, began, 0, send())
	began = time.Now()
	closing()
	say(map[string]any{"hub": hub, "closed": time.Since(began).Seconds()})
}

// report prints an outcome.
func report(hub string, began time.Time, events int, err error) {
	line := map[string]any{"hub": hub, "seconds": time.Since(began).Seconds(), "events": events, "class": "", "message": ""}
	if err != nil {
		line["class"], line["message"] = class(err), err.Error()
	}
	say(line)
}

// class names the type of an error, by which a program distinguishes it from others.
func class(err error) string {
	if e, ok := errors.AsType[*azeventhubs.Error](err); ok {
		return "azeventhubs.Error " + string(e.Code)
	}
	if code := eventhubs.CodeOf(err); code != "" && os.Args[1] == "ours" {
		return string(code)
	}
	for {
		name := fmt.Sprintf("%T", err)
		next := errors.Unwrap(err)
		if next == nil || !strings.HasPrefix(name, "*fmt.") {
			return strings.TrimPrefix(name, "*")
		}
		err = next
	}
}

func sendWithAzure(ctx context.Context, hub string, blind bool) (func() error, func(), error) {
	client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, hub, nil)
	if err != nil {
		return nil, nil, err
	}
	if !blind {
		if _, err := client.GetEventHubProperties(ctx, nil); err != nil {
			return nil, nil, err
		}
	}
	send := func() error {
		batch, err := client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: new("0")})
		if err != nil {
			return err
		}
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("event")}, nil); err != nil {
			return err
		}
		return client.SendEventDataBatch(ctx, batch, nil)
	}
	return send, func() { _ = client.Close(ctx) }, nil
}

func sendWithOurs(ctx context.Context, hub string, blind bool) (func() error, func(), error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, hub, nil)
	if err != nil {
		return nil, nil, err
	}
	if !blind {
		if _, err := producer.EventHubProperties(ctx); err != nil {
			return nil, nil, err
		}
	}
	send := func() error {
		outcome, err := producer.Publish(ctx, &eventhubs.Event{Body: []byte("event"), PartitionID: "0"})
		if err != nil {
			return err
		}
		return outcome.Err
	}
	return send, func() { _ = producer.Close(ctx) }, nil
}

// receive reads the five events of partition 0.
func receive(hub string) {
	ctx := context.Background()
	client, err := azeventhubs.NewConsumerClientFromConnectionString(connectionString, hub, azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		report(hub, time.Now(), 0, err)
		return
	}
	if _, err := client.GetEventHubProperties(ctx, nil); err != nil {
		report(hub, time.Now(), 0, err)
		return
	}
	say(map[string]any{"hub": hub, "ready": true})
	began := time.Now()
	reader, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}})
	events := map[int64]bool{}
	for err == nil && len(events) < 5 {
		var got []*azeventhubs.ReceivedEventData
		got, err = reader.ReceiveEvents(ctx, 1, nil)
		for _, e := range got {
			events[e.SequenceNumber] = true
		}
	}
	report(hub, began, len(events), err)
	began = time.Now()
	_ = client.Close(ctx)
	say(map[string]any{"hub": hub, "closed": time.Since(began).Seconds()})
}
