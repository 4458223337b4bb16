package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

var earliest = azeventhubs.StartPosition{Earliest: new(true)}

// run performs a check.
func run(name, hub string) (line, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), checkLimit, fmt.Errorf("the check took more than %v", checkLimit))
	defer cancel()
	switch name {
	case "properties":
		return properties(ctx, hub)
	case "publish", "throttled, then accepted":
		return line{}, publish(ctx, plain(), hub, nil, numbered(10))
	case "publish by key":
		return line{"key": "motor-7"}, publish(ctx, plain(), hub, &azeventhubs.EventDataBatchOptions{PartitionKey: new("motor-7")}, numbered(10))
	case "publish to a partition":
		return line{}, publishToPartitions(ctx, hub)
	case "publish a full batch":
		return publishFullBatch(ctx, hub)
	case "consume from the start":
		return readFrom(ctx, hub, func(received) (azeventhubs.StartPosition, line) {
			return earliest, line{"by": "start"}
		})
	case "consume from an offset":
		return readFrom(ctx, hub, func(e received) (azeventhubs.StartPosition, line) {
			return azeventhubs.StartPosition{Offset: &e.Offset}, line{"by": "offset", "offset": e.Offset}
		})
	case "consume from a sequence number":
		return readFrom(ctx, hub, func(e received) (azeventhubs.StartPosition, line) {
			return azeventhubs.StartPosition{SequenceNumber: &e.Sequence, Inclusive: true}, line{"by": "sequence", "sequence": e.Sequence, "inclusive": true}
		})
	case "consume from a time":
		return readFrom(ctx, hub, func(e received) (azeventhubs.StartPosition, line) {
			return azeventhubs.StartPosition{EnqueuedTime: new(time.UnixMilli(e.Time)), Inclusive: true}, line{"by": "time", "time": e.Time, "inclusive": true}
		})
	case "key routing":
		return line{}, publishKeys(ctx, hub)
	case "producer reconnects":
		return line{}, publishOneByOne(ctx, hub, 3)
	case "consumer reconnects":
		return consumerReconnects(ctx, hub)
	case "epoch stealing":
		return epochStealing(ctx, hub)
	case "SAS refused":
		return line{
			"wrongKey":   sendRefused(ctx, "INTEROP_WRONG_KEY", hub),
			"listenOnly": sendRefused(ctx, "INTEROP_LISTEN_ONLY", hub),
		}, nil
	case "over TLS":
		return echo(ctx, hub, overTLS)
	case "over WebSocket":
		return echo(ctx, hub, overWebSocket)
	default:
		return nil, errors.New("there is no such check")
	}
}

func numbered(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = "event-" + strconv.Itoa(i)
	}
	return bodies
}

func toPartition(id string) *azeventhubs.EventDataBatchOptions {
	return &azeventhubs.EventDataBatchOptions{PartitionID: &id}
}

// send sends one batch.
func send(ctx context.Context, client *azeventhubs.ProducerClient, options *azeventhubs.EventDataBatchOptions, bodies ...string) error {
	batch, err := client.NewEventDataBatch(ctx, options)
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte(body)}, nil); err != nil {
			return err
		}
	}
	return client.SendEventDataBatch(ctx, batch, nil)
}

func publish(ctx context.Context, via route, hub string, options *azeventhubs.EventDataBatchOptions, bodies []string) error {
	return via.producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		return send(ctx, client, options, bodies...)
	})
}

func publishToPartitions(ctx context.Context, hub string) error {
	return plain().producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		for _, id := range []string{"0", "1", "2", "3"} {
			if err := send(ctx, client, toPartition(id), "partition-"+id); err != nil {
				return err
			}
		}
		return nil
	})
}

func publishOneByOne(ctx context.Context, hub string, n int) error {
	return plain().producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		for _, body := range numbered(n) {
			if err := send(ctx, client, toPartition("0"), body); err != nil {
				return err
			}
		}
		return nil
	})
}

func publishFullBatch(ctx context.Context, hub string) (line, error) {
	out := line{}
	err := plain().producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		batch, err := client.NewEventDataBatch(ctx, nil)
		for err == nil {
			body := "event-" + strconv.Itoa(int(batch.NumEvents()))
			body += strings.Repeat(".", 1000-len(body))
			err = batch.AddEventData(&azeventhubs.EventData{Body: []byte(body)}, nil)
		}
		if !errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
			return err
		}
		// The client does not report the limit. This is the emulator's.
		out["events"], out["bytes"], out["limit"] = batch.NumEvents(), batch.NumBytes(), 1_046_528
		return client.SendEventDataBatch(ctx, batch, nil)
	})
	return out, err
}

// publishKeys sends an event for each key, several at a time. The client computes no partitions
// itself.
func publishKeys(ctx context.Context, hub string) error {
	text, err := os.ReadFile(os.Getenv("INTEROP_KEYS"))
	if err != nil {
		return err
	}
	var keys []string
	if err := json.Unmarshal(text, &keys); err != nil {
		return err
	}
	return plain().producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		const parts = 20
		failures := make([]error, parts)
		var wg sync.WaitGroup
		for part := range parts {
			// Ends when it has sent its share; awaited below.
			wg.Go(func() {
				for i := part; i < len(keys) && failures[part] == nil; i += parts {
					failures[part] = send(ctx, client, &azeventhubs.EventDataBatchOptions{PartitionKey: &keys[i]}, keys[i])
				}
			})
		}
		wg.Wait()
		return errors.Join(failures...)
	})
}

func properties(ctx context.Context, hub string) (line, error) {
	out := line{}
	err := plain().producer(ctx, hub, func(client *azeventhubs.ProducerClient) error {
		if err := send(ctx, client, toPartition("1"), numbered(5)...); err != nil {
			return err
		}
		about, err := client.GetEventHubProperties(ctx, nil)
		if err != nil {
			return err
		}
		var partitions []line
		for _, id := range about.PartitionIDs {
			p, err := client.GetPartitionProperties(ctx, id, nil)
			if err != nil {
				return err
			}
			partitions = append(partitions, line{
				"id": p.PartitionID, "first": p.BeginningSequenceNumber, "last": p.LastEnqueuedSequenceNumber,
				"offset": p.LastEnqueuedOffset, "time": p.LastEnqueuedOn.UnixMilli(), "empty": p.IsEmpty,
			})
		}
		out["hub"], out["partitions"] = about.Name, partitions
		return nil
	})
	return out, err
}

// readFrom publishes 20 events one by one, and reads from the position that pick makes of the
// eighth.
func readFrom(ctx context.Context, hub string, pick func(received) (azeventhubs.StartPosition, line)) (line, error) {
	if err := publishOneByOne(ctx, hub, 20); err != nil {
		return nil, err
	}
	out := line{}
	err := plain().consumer(ctx, hub, func(client *azeventhubs.ConsumerClient) error {
		all, err := read(ctx, client, "0", earliest, 20)
		if err != nil {
			return err
		}
		position, start := pick(all[7])
		n := 20 - 7
		switch {
		case start["by"] == "start":
			n = 20
		case start["inclusive"] == nil:
			n--
		}
		out["start"] = start
		out["received"], err = read(ctx, client, "0", position, n)
		return err
	})
	return out, err
}

func echo(ctx context.Context, hub string, via func() (route, error)) (line, error) {
	r, err := via()
	if err != nil {
		return nil, err
	}
	if err := publish(ctx, r, hub, toPartition("0"), numbered(20)); err != nil {
		return nil, err
	}
	out := line{"start": line{"by": "start"}}
	err = r.consumer(ctx, hub, func(client *azeventhubs.ConsumerClient) error {
		out["received"], err = read(ctx, client, "0", earliest, 20)
		return err
	})
	return out, err
}

// consumerReconnects reads from four partitions over one connection. The emulator closes it when
// the last one is attached.
func consumerReconnects(ctx context.Context, hub string) (line, error) {
	if err := publishToPartitions(ctx, hub); err != nil {
		return nil, err
	}
	var all []received
	err := plain().consumer(ctx, hub, func(client *azeventhubs.ConsumerClient) error {
		for _, id := range []string{"0", "1", "2", "3"} {
			events, err := read(ctx, client, id, earliest, 1)
			if err != nil {
				return err
			}
			all = append(all, events...)
		}
		return nil
	})
	return line{"received": all}, err
}

// refusal returns the client's report of a refusal.
func refusal(err error) line {
	if err == nil {
		return line{"code": "", "message": "it was not refused"}
	}
	code := ""
	if own, ok := errors.AsType[*azeventhubs.Error](err); ok {
		code = string(own.Code)
	}
	return line{"code": code, "message": err.Error()}
}

func sendRefused(ctx context.Context, variable, hub string) line {
	via := route{connectionString: os.Getenv(variable)}
	return refusal(publish(ctx, via, hub, nil, numbered(1)))
}

func epochStealing(ctx context.Context, hub string) (line, error) {
	if err := publish(ctx, plain(), hub, toPartition("0"), numbered(1)); err != nil {
		return nil, err
	}
	var stolen, refused error
	err := plain().consumer(ctx, hub, func(client *azeventhubs.ConsumerClient) error {
		first, err := own(ctx, client, 1)
		if err != nil {
			return err
		}
		second, err := own(ctx, client, 2)
		if err != nil {
			return err
		}
		_, stolen = first.ReceiveEvents(ctx, 1, nil)
		_, refused = own(ctx, client, 1)
		return errors.Join(first.Close(ctx), second.Close(ctx))
	})
	return line{"stolen": refusal(stolen), "refused": refusal(refused)}, err
}

// own receives the first event of partition 0 with an owner level.
func own(ctx context.Context, client *azeventhubs.ConsumerClient, level int64) (*azeventhubs.PartitionClient, error) {
	p, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: &level})
	if err != nil {
		return nil, err
	}
	if _, err := p.ReceiveEvents(ctx, 1, nil); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}
