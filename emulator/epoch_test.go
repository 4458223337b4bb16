package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// attachReceiver attaches a receiver; a nil epoch is none.
func attachReceiver(t *testing.T, server *emulator.Server, address, name string, epoch any) (*amqp.Link, error) {
	t.Helper()
	properties := amqp.Map{{Key: amqp.Symbol("com.microsoft:receiver-name"), Value: name}}
	if epoch != nil {
		properties = append(properties, amqp.Pair{Key: amqp.Symbol("com.microsoft:epoch"), Value: epoch})
	}
	return openClient(t, server).Attach(t.Context(), &amqp.Attach{
		Name: "link of " + name, Role: amqp.RoleReceiver, Target: &amqp.Target{}, Source: &amqp.Source{Address: address}, Properties: properties,
	})
}

const (
	partition0 = "events/ConsumerGroups/$Default/Partitions/0"
	linkStolen = "amqp:link:stolen"
)

// end waits for the end of a link and returns its error.
func end(t *testing.T, link *amqp.Link) error {
	t.Helper()
	select {
	case <-link.Done():
		return link.Err()
	case <-time.After(time.Minute): // virtual
		t.Fatal("the link does not end")
		return nil
	}
}

func checkRefusal(t *testing.T, name string, err error, condition, text string) {
	t.Helper()
	if refusedWith(err) != condition || !strings.Contains(fmt.Sprint(err), text) || !strings.Contains(fmt.Sprint(err), "TrackingId:") {
		t.Errorf("%s: %v; want %s with %q and a tracking id", name, err, condition, text)
	}
}

func TestReceiverWithTheSameOrAHigherEpochTakesOver(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		var last *amqp.Link
		for i, epoch := range []int64{0, 0, 1, 5} {
			link, err := attachReceiver(t, server, partition0, fmt.Sprint("r", i), epoch)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil {
				checkRefusal(t, "the older receiver", end(t, last), linkStolen,
					fmt.Sprintf("New receiver 'r%d' with higher epoch of '%d' is created hence current receiver 'r%d' with epoch '", i, epoch, i-1))
			}
			last = link
		}
		_, err := attachReceiver(t, server, partition0, "low", int64(4))
		checkRefusal(t, "a lower epoch", err, linkStolen, "Receiver 'r3' with a higher epoch '5' already exists. Receiver 'low' with epoch 4 cannot be created.")
		_, err = attachReceiver(t, server, partition0, "none", nil)
		checkRefusal(t, "no epoch", err, linkStolen, "At least one receiver for the endpoint is created with epoch of '5', and so non-epoch receiver is not allowed.")
		if err := last.Err(); err != nil {
			t.Errorf("those who were refused disturbed the receiver: %v", err)
		}
		// After it leaves, any receiver may come.
		if err := last.Detach(nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // Detach does not wait
		if _, err := attachReceiver(t, server, partition0, "none", nil); err != nil {
			t.Errorf("no epoch, when the one with an epoch is gone: %v", err)
		}
	})
}

func TestReceiverWithEpochDisplacesThoseWithout(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		var without []*amqp.Link
		for i := range 5 {
			link, err := attachReceiver(t, server, partition0, fmt.Sprint("r", i), nil)
			if err != nil {
				t.Fatal(err)
			}
			without = append(without, link)
		}
		if _, err := attachReceiver(t, server, partition0, "new", int64(0)); err != nil {
			t.Fatal(err)
		}
		for _, link := range without {
			checkRefusal(t, "a receiver without epoch", end(t, link), linkStolen, "New receiver 'new' with higher epoch of '0' is created")
		}
	})
}

func TestFiveReceiversWithoutEpochForAGroupAndPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2, ConsumerGroups: []string{"other"}}}})
		var first *amqp.Link
		for i := range 5 {
			link, err := attachReceiver(t, server, partition0, fmt.Sprint("r", i), nil)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = link
			}
		}
		// Groups are the same in upper and lower case.
		_, err := attachReceiver(t, server, "EVENTS/consumergroups/$DEFAULT/partitions/0", "r5", nil)
		checkRefusal(t, "the sixth", err, "amqp:resource-limit-exceeded",
			"Exceeded the maximum number of allowed receivers per partition in a consumer group which is 5. List of connected receivers - r0, r1, r2, r3, r4.")
		for _, address := range []string{"events/ConsumerGroups/$Default/Partitions/1", "events/ConsumerGroups/other/Partitions/0"} {
			if _, err := attachReceiver(t, server, address, "elsewhere", nil); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
		first.Conn().Cut()
		synctest.Wait()
		if _, err := attachReceiver(t, server, partition0, "r6", nil); err != nil {
			t.Errorf("when the connection of one is gone: %v", err)
		}
	})
}

func TestEpochsThatAreRefused(t *testing.T) {
	server := newServer(t, emulator.Options{})
	_, err := attachReceiver(t, server, partition0, "r", int64(-1))
	checkRefusal(t, "a negative epoch", err, outOfRange, "com.microsoft:epoch")
	_, err = attachReceiver(t, server, partition0, "r", "1")
	checkRefusal(t, "an epoch that is text", err, argument, "com.microsoft:epoch")
	if _, err = attachReceiver(t, server, partition0, "r", int32(1)); err != nil {
		t.Errorf("an epoch that is an int: %v", err)
	}
}

func TestGoSDKLosesItsPartitionToAHigherOwnerLevel(t *testing.T) {
	onEveryTransport(t, emulator.Options{}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		open := func(level int64) *azeventhubs.PartitionClient {
			link, err := newConsumer(t, server, "events", dial).NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: &level})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = link.Close(context.Background()) })
			return link
		}
		receiveOne := func(link *azeventhubs.PartitionClient) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := link.ReceiveEvents(ctx, 1, nil)
			return err
		}
		if err := server.Seed("events", "0", emulator.Event{Body: []byte("a")}); err != nil {
			t.Fatal(err)
		}
		first, second := open(1), open(2)
		for _, link := range []*azeventhubs.PartitionClient{first, second} {
			if err := receiveOne(link); err != nil {
				t.Fatal(err)
			}
		}
		err := receiveOne(first)
		if e, ok := errors.AsType[*azeventhubs.Error](err); !ok || e.Code != azeventhubs.ErrorCodeOwnershipLost {
			t.Errorf("the one displaced: %v, want %s", err, azeventhubs.ErrorCodeOwnershipLost)
		}
		// The client gives a refused attach another code, but keeps the condition.
		if err := receiveOne(open(1)); err == nil || !strings.Contains(err.Error(), linkStolen) {
			t.Errorf("the one refused: %v, want %s", err, linkStolen)
		}
	})
}

func TestRuntimeMetricsComeWithEachEventIfWanted(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		if err := server.Seed("events", "0", emulator.Event{Body: []byte("a")}, emulator.Event{Body: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		var newest emulator.Event
		for newest = range server.Events("events", "0") {
		}
		time.Sleep(time.Hour) // virtual
		for _, capabilities := range [][]amqp.Symbol{nil, {"com.microsoft:enable-receiver-runtime-metric", "com.microsoft:georeplication"}} {
			link, err := openClient(t, server).Attach(t.Context(), &amqp.Attach{
				Name: "r", Role: amqp.RoleReceiver, Target: &amqp.Target{}, Source: &amqp.Source{Address: partition0}, DesiredCapabilities: capabilities,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(link.Remote().OfferedCapabilities); got != len(capabilities) {
				t.Errorf("offered are %v, want all of %v", link.Remote().OfferedCapabilities, capabilities)
			}
			if err := link.Credit(1); err != nil {
				t.Fatal(err)
			}
			d, err := link.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m, err := amqp.ParseMessage(d.Payload)
			if err != nil {
				t.Fatal(err)
			}
			want := "[]"
			if capabilities != nil {
				want = fmt.Sprint(amqp.Map{
					{Key: amqp.Symbol("last_enqueued_sequence_number"), Value: int64(1)},
					{Key: amqp.Symbol("last_enqueued_offset"), Value: newest.Offset},
					{Key: amqp.Symbol("last_enqueued_time_utc"), Value: newest.EnqueuedTime},
					{Key: amqp.Symbol("runtime_info_retrieval_time_utc"), Value: newest.EnqueuedTime.Add(time.Hour)},
				})
			}
			if got := fmt.Sprint(m.DeliveryAnnotations); got != want {
				t.Errorf("delivery annotations %s, want %s", got, want)
			}
			if n, _ := m.Annotations.Get("x-opt-sequence-number"); n != int64(0) {
				t.Errorf("message annotations %v", m.Annotations)
			}
		}
	})
}
