package examples_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/azevents"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A Reading is published by both programs of docs/from-azeventhubs.md.
type Reading struct {
	Device string
	Value  int
}

// JSON returns the reading as it is published.
func (r Reading) JSON() []byte {
	return fmt.Appendf(nil, `{"device":%q,"value":%d}`, r.Device, r.Value)
}

func publishBefore(ctx context.Context, connectionString string, readings iter.Seq[Reading]) error {
	client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, "telemetry", nil)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))

	batches := map[string]*azeventhubs.EventDataBatch{}
	send := func(device string) error {
		batch := batches[device]
		delete(batches, device)
		return client.SendEventDataBatch(ctx, batch, nil)
	}
	for r := range readings {
		event := &azeventhubs.EventData{Body: r.JSON()}
		for {
			batch := batches[r.Device]
			if batch == nil {
				if batch, err = client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionKey: &r.Device}); err != nil {
					return err
				}
				batches[r.Device] = batch
			}
			err := batch.AddEventData(event, nil)
			if err == nil {
				break
			}
			if !errors.Is(err, azeventhubs.ErrEventDataTooLarge) || batch.NumEvents() == 0 {
				return err
			}
			if err := send(r.Device); err != nil {
				return err
			}
		}
	}
	for device := range batches {
		if err := send(device); err != nil {
			return err
		}
	}
	return nil
}

func publishAfter(ctx context.Context, connectionString string, readings iter.Seq[Reading]) (err error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "telemetry", nil)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		err = errors.Join(err, producer.Close(closing)) // says what is not stored
	}()
	for r := range readings {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: r.JSON(), PartitionKey: r.Device}); err != nil {
			return err
		}
	}
	return nil
}

// sendBefore reports why a batch was not sent.
func sendBefore(ctx context.Context, client *azeventhubs.ProducerClient, batch *azeventhubs.EventDataBatch) error {
	err := client.SendEventDataBatch(ctx, batch, nil)
	if failed, ok := errors.AsType[*azeventhubs.Error](err); ok && failed.Code == azeventhubs.ErrorCodeUnauthorizedAccess {
		log.Print("no right to send: ", err)
	}
	return err // the batch may be stored all the same
}

// reportAfter reports why a batch was not stored.
func reportAfter(report func(string)) *eventhubs.Options {
	options := &eventhubs.Options{
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			if eventhubs.CodeOf(batch.Outcome.Err) == eventhubs.CodeUnauthorized {
				report("no right to send")
			}
			report(fmt.Sprintf("%d events are %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err))
		},
	}
	return options
}

// publishOne waits for the outcome of one event.
func publishOne(ctx context.Context, producer *eventhubs.BufferedProducer, event *eventhubs.Event) error {
	outcome, err := producer.Publish(ctx, event)
	switch outcome.Storage {
	case eventhubs.Stored:
		return nil
	case eventhubs.NotStored:
		return fmt.Errorf("it can be published again: %w", err)
	case eventhubs.PossiblyStored:
		return fmt.Errorf("it may be stored twice if it is published again: %w", err)
	default: // Pending: the context ended first, and the outcome still comes
		return err
	}
}

// closeAfter sends the rest and reports what is not stored.
func closeAfter(ctx context.Context, producer *eventhubs.BufferedProducer) {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := producer.Close(closing)
	if left, ok := errors.AsType[*eventhubs.UndeliveredError](err); ok {
		log.Printf("%d events are not stored, %d possibly stored: %v", left.NotStored, left.PossiblyStored, left.Err)
	}
}

// forward sends on the events that a consumer received.
func forward(ctx context.Context, partition *azeventhubs.PartitionClient, producer *eventhubs.BufferedProducer) error {
	receiving, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	events, err := partition.ReceiveEvents(receiving, 100, nil) // returns when it has 100, or the time is over
	if err != nil {
		return err
	}
	for _, received := range events {
		if err := producer.Enqueue(ctx, azevents.FromReceived(received)); err != nil {
			return err
		}
	}
	return nil
}

func TestReadingsAreStored(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 4}}})
	readings := slices.Values([]Reading{{Device: "pump", Value: 1}, {Device: "fan", Value: 2}})

	if err := publishAfter(t.Context(), server.ConnectionString(""), readings); err != nil {
		t.Fatal(err)
	}
	if err := server.WaitForEvents(t.Context(), "telemetry", 2); err != nil {
		t.Error(err)
	}
}

// The document's code must report a failure, and send on a received event.
func TestTheOtherSamplesFromAzeventhubsWork(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 1}, {Name: "copy", Partitions: 1}}})
	text := server.ConnectionString("")

	var reports []string
	options := reportAfter(func(line string) { reports = append(reports, line) })
	options.FailFast = true
	lost, err := eventhubs.NewBufferedProducerFromConnectionString(text, "elsewhere", options)
	if err != nil {
		t.Fatal(err)
	}
	err = publishOne(t.Context(), lost, &eventhubs.Event{Body: []byte("one")})
	if !errors.Is(err, eventhubs.CodeNotFound) || !strings.HasPrefix(err.Error(), "it can be published again") {
		t.Errorf("publishOne to a hub that is not there returned %v", err)
	}
	closeAfter(t.Context(), lost)
	if len(reports) != 1 || !strings.HasPrefix(reports[0], "1 events are not stored: ") {
		t.Errorf("the handler reports %q, want one event that is not stored", reports)
	}

	client, err := azeventhubs.NewProducerClientFromConnectionString(text, "telemetry", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	batch, err := client.NewEventDataBatch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("two")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := sendBefore(t.Context(), client, batch); err != nil {
		t.Fatal(err)
	}

	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(text, "telemetry", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close(t.Context())
	partition, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}})
	if err != nil {
		t.Fatal(err)
	}
	defer partition.Close(t.Context())
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "copy", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := forward(t.Context(), partition, producer); err != nil {
		t.Fatal(err)
	}
	closeAfter(t.Context(), producer)
	copied := 0
	for e := range server.Events("copy", "0") {
		if string(e.Body) == "two" {
			copied++
		}
	}
	if copied != 100 {
		t.Errorf("the copy has %d of the events, want 100", copied)
	}
}

// Both programs of docs/from-azeventhubs.md store the same events, in the same partitions, in order
// within each key.
func TestTheProgramThatMovesFromAzeventhubsStoresTheSame(t *testing.T) {
	readings := func(yield func(Reading) bool) {
		for i := range 300 {
			if !yield(Reading{Device: fmt.Sprint("device ", i%7), Value: i}) {
				return
			}
		}
	}
	var stored []map[string][]string // for each program, the bodies by "partition key"
	for _, publish := range []func(context.Context, string, iter.Seq[Reading]) error{publishBefore, publishAfter} {
		server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 4}}})
		if err := publish(t.Context(), server.ConnectionString(""), readings); err != nil {
			t.Fatal(err)
		}
		found := map[string][]string{}
		for partition := range 4 {
			id := fmt.Sprint(partition)
			for e := range server.Events("telemetry", id) {
				found[id+" "+e.PartitionKey] = append(found[id+" "+e.PartitionKey], string(e.Body))
			}
		}
		stored = append(stored, found)
	}
	if got, want := fmt.Sprint(stored[1]), fmt.Sprint(stored[0]); got != want || len(stored[1]) != 7 {
		t.Errorf("after, stored is\n %s, want as before\n %s", got, want)
	}
}

// Every line of Go in docs/from-azeventhubs.md must be in this file, where it is compiled and run.
func TestTheSamplesFromAzeventhubsAreCompiled(t *testing.T) {
	source, err := os.ReadFile("from_azeventhubs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/from-azeventhubs.md")
	if err != nil {
		t.Fatal(err)
	}
	compiled := flat(strings.NewReplacer("publishBefore(", "publish(", "publishAfter(", "publish(").Replace(string(source)))
	samples := strings.Split(string(document), "```go\n")[1:]
	for _, sample := range samples {
		sample, _, _ = strings.Cut(sample, "```")
		if !strings.Contains(compiled, flat(sample)) {
			t.Errorf("this sample of the document is not in this file:\n%s", sample)
		}
	}
	if len(samples) < 7 {
		t.Errorf("The document has %d samples, want both programs and five others.", len(samples))
	}
}

// flat returns code without its indentation.
func flat(code string) string {
	var text strings.Builder
	for line := range strings.Lines(code) {
		text.WriteString(strings.TrimLeft(line, "\t "))
	}
	return text.String()
}
