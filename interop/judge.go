package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func judgeProperties(w *world, o *observation) error {
	hub := hubOf(o.Check)
	if o.Hub != hub {
		return fmt.Errorf("the hub's name is %q, want %q", o.Hub, hub)
	}
	var want []partition
	for _, id := range w.serverOf(o.Check).PartitionIDs(hub) {
		p := partition{ID: id, First: -1, Last: -1, Offset: "-1", Empty: true}
		for e := range w.serverOf(o.Check).Events(hub, id) {
			p = partition{ID: id, First: 0, Last: e.SequenceNumber, Offset: e.Offset, Time: e.EnqueuedTime.UnixMilli()}
		}
		want = append(want, p)
	}
	if want[1].Last != 4 {
		return fmt.Errorf("partition 1 holds %d events, want 5", want[1].Last+1)
	}
	if !slices.Equal(o.Partitions, want) {
		return fmt.Errorf("the client saw %+v, want %+v", o.Partitions, want)
	}
	return nil
}

func judgePublish(w *world, o *observation) error {
	events, err := storedOnce(w, o.Check, numbered(10))
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.PartitionKey != "" || e.PartitionID != events[0].PartitionID {
			return fmt.Errorf("the events of a batch without a key are in partitions %s and %s, one has key %q", events[0].PartitionID, e.PartitionID, e.PartitionKey)
		}
	}
	return nil
}

func judgePublishByKey(w *world, o *observation) error {
	events, err := storedOnce(w, o.Check, numbered(10))
	return errors.Join(err, routed(events, 4, func(emulator.Event) string { return o.Key }))
}

func judgePublishToPartition(w *world, o *observation) error {
	want := []string{"partition-0", "partition-1", "partition-2", "partition-3"}
	events, err := storedOnce(w, o.Check, want)
	if err != nil {
		return err
	}
	for _, e := range events {
		if string(e.Body) != "partition-"+e.PartitionID || e.PartitionKey != "" {
			return fmt.Errorf("partition %s holds %q with key %q", e.PartitionID, e.Body, e.PartitionKey)
		}
	}
	return nil
}

// judgeFullBatch wants one message with no room for another event, and the emulator's limit.
func judgeFullBatch(w *world, o *observation) error {
	const limit = 1_046_528
	hub := hubOf(o.Check)
	var want []string
	for _, body := range numbered(o.Events) {
		want = append(want, body+strings.Repeat(".", 1000-len(body)))
	}
	if _, err := storedOnce(w, o.Check, want); err != nil {
		return err
	}
	counts := w.serverOf(o.Check).Counts(hub, "")
	// Clients count the overhead of an event differently: Java's leaves 3 % of the message unused.
	if counts.Batches != 1 || counts.Bytes < 1_000_000 {
		return fmt.Errorf("%d bytes of events in %d batches; one full batch was wanted", counts.Bytes, counts.Batches)
	}
	if o.Limit != limit {
		return fmt.Errorf("the client takes %d bytes for the limit, want %d", o.Limit, limit)
	}
	return nil
}

// judgeBuffered wants the events of a key in the key's partition. They need not carry the key: a
// client may send them to the partition that it computed.
func judgeBuffered(w *world, o *observation) error {
	events, err := storedOnce(w, o.Check, numbered(500))
	if err != nil {
		return err
	}
	for _, e := range events {
		i, _ := strconv.Atoi(strings.TrimPrefix(string(e.Body), "event-"))
		if i%2 == 0 {
			continue
		}
		key := "key-" + strconv.Itoa(i%20)
		if want, _ := w.client.route(key, 4); e.PartitionKey != key && e.PartitionKey != "" || e.PartitionID != want {
			return fmt.Errorf("%s with key %q is in partition %s and carries key %q", e.Body, key, e.PartitionID, e.PartitionKey)
		}
	}
	return nil
}

// judgeConsumed wants the client to have read partition 0 from the position that it asked for.
func judgeConsumed(w *world, o *observation) error {
	events, err := storedOnce(w, o.Check, numbered(20))
	if err != nil {
		return err
	}
	var want []received
	for _, e := range events {
		behind := o.Start.By == "start"
		switch o.Start.By {
		case "offset":
			at, _ := strconv.ParseInt(e.Offset, 10, 64)
			from, _ := strconv.ParseInt(o.Start.Offset, 10, 64)
			behind = at > from || at == from && o.Start.Inclusive
		case "sequence":
			behind = e.SequenceNumber > o.Start.Sequence || e.SequenceNumber == o.Start.Sequence && o.Start.Inclusive
		case "time":
			at := e.EnqueuedTime.UnixMilli()
			behind = at > o.Start.Time || at == o.Start.Time && o.Start.Inclusive
		}
		if behind {
			want = append(want, asReceived(e))
		}
	}
	if o.Start.By != "start" && (len(want) == 0 || len(want) == len(events)) {
		return fmt.Errorf("the position %+v is no test: %d of %d events lie after it", o.Start, len(want), len(events))
	}
	if !slices.Equal(o.Received, want) {
		return fmt.Errorf("from %+v the client received %+v, want %+v", o.Start, o.Received, want)
	}
	return nil
}

// judgeKeyRouting wants client, emulator and this project's hash to agree about every key. A known
// difference of a client must be there.
func judgeKeyRouting(w *world, o *observation) error {
	if len(o.Routes) > 0 {
		if len(o.Routes) != len(w.keys) {
			return fmt.Errorf("the client chose %d partitions for %d keys", len(o.Routes), len(w.keys))
		}
		for i, key := range w.keys {
			if want, known := w.client.route(key, routedPartitions); known && o.Routes[i] != want {
				return fmt.Errorf("the client chooses partition %s for key %q, want %s", o.Routes[i], key, want)
			}
		}
	}
	events, err := storedOnce(w, o.Check, w.keys)
	return errors.Join(err, routed(events, routedPartitions, func(e emulator.Event) string { return string(e.Body) }))
}

func judgeThrottled(w *world, o *observation) error {
	if n := len(w.transferConnections(hubOf(nameThrottled))); n < 2 {
		return fmt.Errorf("the client sent %d times, want twice", n)
	}
	_, err := storedOnce(w, o.Check, numbered(10))
	return err
}

func judgeProducerReconnects(w *world, o *observation) error {
	if err := reconnected(w.transferConnections(hubOf(nameProducerReconnects))); err != nil {
		return err
	}
	_, err := storedOnce(w, o.Check, numbered(3))
	return err
}

// reconnected wants three events to have come over these connections. The second came twice, since
// its connection was closed.
func reconnected(used []int) error {
	if len(used) != 4 || used[0] != used[1] || used[1] == used[2] {
		return fmt.Errorf("transfers came over the connections %v, want 4, with a new one for the third", used)
	}
	return nil
}

// judgeConsumerReconnects wants all events, maybe more than once, and receivers on a new
// connection.
func judgeConsumerReconnects(w *world, o *observation) error {
	used := w.receiverConnections(hubOf(o.Check))
	if len(used) < 4 || used[len(used)-1] == used[0] {
		return fmt.Errorf("receivers were attached over the connections %v, want a new one after the close", used)
	}
	missing := make(map[string]bool)
	for _, id := range w.serverOf(o.Check).PartitionIDs(hubOf(o.Check)) {
		for e := range w.serverOf(o.Check).Events(hubOf(o.Check), id) {
			missing[string(e.Body)] = true
		}
	}
	if len(missing) < 4 {
		return fmt.Errorf("there are only %d events", len(missing))
	}
	for _, r := range o.Received {
		delete(missing, r.Body)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the client did not receive %q", slices.Sorted(maps.Keys(missing)))
	}
	return nil
}

// judgeEpochs wants the owner with the lower epoch to get an error about the higher one, and not to
// come back.
func judgeEpochs(_ *world, o *observation) error {
	told := regexp.MustCompile("(?i)stolen|ownership ?lost|disconnected")
	for _, r := range []refusal{o.Stolen, o.Refused} {
		if !told.MatchString(r.Code) && !told.MatchString(r.Message) {
			return fmt.Errorf("the owner with the lower epoch got %+v, which does not mention the other one", r)
		}
	}
	return nil
}

func judgeRefusedSAS(w *world, o *observation) error {
	told := regexp.MustCompile("(?i)unauthorized|auth-failed|InvalidSignature|authentication")
	for _, r := range []refusal{o.WrongKey, o.ListenOnly} {
		if !told.MatchString(r.Code) && !told.MatchString(r.Message) {
			return fmt.Errorf("a client without a right to send got %+v, which does not say why", r)
		}
	}
	if counts := w.serverOf(o.Check).Counts(hubOf(o.Check), ""); counts.Events > 0 {
		return fmt.Errorf("%d events of a client without a right to send are stored", counts.Events)
	}
	return nil
}

// storedOnce returns the events of a check's hub if they have the given bodies, each once. The
// events of a partition are in their order.
func storedOnce(w *world, name string, bodies []string) ([]emulator.Event, error) {
	hub := hubOf(name)
	missing := make(map[string]int)
	for _, body := range bodies {
		missing[body]++
	}
	var events []emulator.Event
	for _, id := range w.serverOf(name).PartitionIDs(hub) {
		for e := range w.serverOf(name).Events(hub, id) {
			if missing[string(e.Body)] == 0 {
				return nil, fmt.Errorf("partition %s of hub %q holds %.100q, which is too many", id, hub, e.Body)
			}
			missing[string(e.Body)]--
			events = append(events, e)
		}
	}
	if len(events) != len(bodies) {
		return nil, fmt.Errorf("hub %q holds %d events, want %d", hub, len(events), len(bodies))
	}
	return events, nil
}

// routed wants each event to carry its key and to be in its key's partition.
func routed(events []emulator.Event, partitions int, key func(emulator.Event) string) error {
	for _, e := range events {
		if e.PartitionKey != key(e) {
			return fmt.Errorf("%.100q has key %q, want %q", e.Body, e.PartitionKey, key(e))
		}
		if want := partitionOf(key(e), partitions); e.PartitionID != want {
			return fmt.Errorf("%.100q with key %q is in partition %s, want %s", e.Body, e.PartitionKey, e.PartitionID, want)
		}
	}
	return nil
}

// asReceived returns an event as a client should see it.
func asReceived(e emulator.Event) received {
	return received{
		Partition: e.PartitionID,
		Sequence:  e.SequenceNumber,
		Offset:    e.Offset,
		Time:      e.EnqueuedTime.UnixMilli(),
		Key:       e.PartitionKey,
		Body:      string(e.Body),
	}
}

// numbered returns the bodies event-0 to event-(n-1).
func numbered(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = "event-" + strconv.Itoa(i)
	}
	return bodies
}
