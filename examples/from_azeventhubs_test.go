package examples_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A Reading is what both programs of docs/from-azeventhubs.md publish.
type Reading struct {
	Device string
	Value  int
}

// JSON is the reading as it is published.
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

// Both programs of docs/from-azeventhubs.md store the same events, in the same partitions, in order within each key; and the document shows these programs.
func TestTheProgramThatMovesFromAzeventhubsStoresTheSame(t *testing.T) {
	readings := func(yield func(Reading) bool) {
		for i := range 300 {
			if !yield(Reading{Device: fmt.Sprint("device ", i%7), Value: i}) {
				return
			}
		}
	}
	var stored []map[string][]string // for each program, to "partition key" the bodies
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

	source, err := os.ReadFile("from_azeventhubs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/from-azeventhubs.md")
	if err != nil {
		t.Fatal(err)
	}
	samples := strings.Split(string(document), "```go\n")[1:]
	for _, name := range []string{"publishBefore", "publishAfter"} {
		_, program, _ := strings.Cut(string(source), "\nfunc "+name)
		program, _, _ = strings.Cut(program, "\n}\n")
		want := "func publish" + program + "\n}\n"
		if !slices.ContainsFunc(samples, func(sample string) bool { return strings.HasPrefix(sample, want) }) {
			t.Errorf("the document does not show %s:\n%s", name, want)
		}
	}
}
