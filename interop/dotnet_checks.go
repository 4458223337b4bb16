package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// dotnetPerformances are the commands of clients/dotnet for each check.
var dotnetPerformances = map[string]performance{
	"properties":             {commands: []invocation{call("publish", "info", "batch", "info")}, judge: judgeDotnetProperties},
	"publish":                {commands: []invocation{call("publish", "one", "properties", "valuebody")}, judge: judgeDotnetPublish},
	"publish by key":         {commands: []invocation{call("publish", "key")}, judge: judgeDotnetKey},
	"publish to a partition": {commands: []invocation{call("publish", "id", "batch")}, judge: judgeDotnetPartition},
	"publish a full batch":   {commands: []invocation{call("publish", "biggest", "toolarge")}, judge: judgeDotnetBiggest},
	"buffered producer": {
		commands: []invocation{call("buffered", "many", "mutate", "poison", "flush", "full")}, waits: true, judge: judgeDotnetBuffered,
	},
	"consume from the start":         {commands: []invocation{call("publish", "one", "batch"), call("consume", "5")}, judge: judgeDotnetConsumed},
	"consume from an offset":         {commands: dotnetPositions, judge: judgeDotnetPositions},
	"consume from a sequence number": {commands: dotnetPositions, judge: judgeDotnetPositions},
	"consume from a time":            {commands: dotnetPositions, judge: judgeDotnetPositions},
	nameRouting:                      {commands: []invocation{call("buffered", "keys")}, judge: judgeDotnetKeys},
	nameThrottled:                    {commands: []invocation{call("publish", "one")}, judge: judgeDotnetThrottled},
	nameProducerReconnects:           {commands: []invocation{call("publish", "one", "one", "one")}, judge: judgeDotnetProducerReconnects},
	nameConsumerReconnects:           {commands: []invocation{call("publish", "one", "batch", "key", "id"), call("consume", "5")}, judge: judgeDotnetConsumerReconnects},
	"epoch stealing":                 {commands: []invocation{call("publish", "types"), call("consume", "owner")}, judge: judgeDotnetOwners},
	"SAS refused":                    {commands: []invocation{refusedWith((*world).wrongKey), refusedWith((*world).listenOnly)}, judge: judgeDotnetRefused},
	nameTLS:                          {commands: dotnetEcho(overTLS), judge: judgeDotnetConsumed},
	nameWebSocket:                    {commands: dotnetEcho(overWebSocket), judge: judgeDotnetConsumed},
	nameIdempotent:                   {commands: []invocation{call("buffered", "hundredidempotent")}, judge: judgeDotnetIdempotent},
	nameIdempotentReported:           {commands: []invocation{call("buffered", "hundredidempotent")}, judge: judgeDotnetIdempotent},
	nameOurs:                         {commands: []invocation{call("consume", "5")}, judge: judgeDotnetOurs},
	nameTypes:                        {commands: []invocation{call("publish", "types"), call("consume", "5")}, judge: judgeDotnetTypes},
	nameOurTypes:                     {commands: []invocation{call("consume", "5")}, judge: judgeDotnetOurTypes},
	nameProcessor:                    {commands: []invocation{call("processor")}, waits: true, judge: judgeDotnetProcessor},
}

// dotnetPositions begin with events whose fifth has the offset 44, which the second command asks
// for.
var dotnetPositions = []invocation{call("publish", "one", "batch", "types"), call("consume", "positions")}

// The ways to a server like the service's: a host that only the option can find, and a certificate
// that is verified.
func overTLS(w *world) []string       { return w.asService(w.tls) }
func overWebSocket(w *world) []string { return append(w.asService(w.webSocket), "WS=1") }

func (w *world) asService(server *emulator.Server) []string {
	return []string{"CONN=" + w.serviceConnectionString(), "CUSTOM=sb://" + server.Addr(), "SSL_CERT_FILE=" + w.authoritiesFile()}
}

func dotnetEcho(way func(*world) []string) []invocation {
	return []invocation{{[]string{"publish", "one", "batch"}, way}, {[]string{"consume", "5"}, way}}
}

func refusedWith(connectionString func(*world) string) invocation {
	return invocation{[]string{"publish", "quick", "one"}, func(w *world) []string { return []string{"CONN=" + connectionString(w)} }}
}

// A dotnetFailure is the program's report of a failure.
type dotnetFailure struct {
	What, Type, Reason, Message string
	Transient                   bool
}

// dotnetDid wants the program to have done these things, in this order, without any failure.
func dotnetDid(s said, things ...string) error {
	done, err := told[string](s, "done")
	if err != nil {
		return err
	}
	failed, err := told[dotnetFailure](s, "failed")
	if err != nil {
		return err
	}
	if len(failed) > 0 || !slices.Equal(done, things) {
		return fmt.Errorf("the program did %q with the failures %+v, want %q and no failure", done, failed, things)
	}
	return nil
}

// stored returns the events of a check's hub, partition by partition.
func stored(w *world, check string) (events []emulator.Event) {
	for _, id := range w.serverOf(check).PartitionIDs(hubOf(check)) {
		events = slices.AppendSeq(events, w.serverOf(check).Events(hubOf(check), id))
	}
	return events
}

func judgeDotnetProperties(w *world, check string, s said) error {
	hub, err := told[struct {
		Name         string
		CreatedOn    time.Time
		PartitionIDs []string
	}](s, "hub")
	if err := errors.Join(err, dotnetDid(s, "info", "batch", "info")); err != nil {
		return err
	}
	ids := w.serverOf(check).PartitionIDs(hubOf(check))
	for _, h := range hub {
		if h.Name != hubOf(check) || !slices.Equal(h.PartitionIDs, ids) || time.Since(h.CreatedOn).Abs() > time.Hour {
			return fmt.Errorf("the client saw %+v, want hub %q with partitions %v", h, hubOf(check), ids)
		}
	}
	type properties struct {
		BeginningSequenceNumber, LastEnqueuedSequenceNumber int64
		IsEmpty                                             bool
		LastEnqueuedTime                                    time.Time
	}
	got, err := told[properties](s, "partition")
	if err != nil {
		return err
	}
	want := []properties{{-1, -1, true, time.Unix(0, 0).UTC()}}
	for _, e := range stored(w, check) {
		want = append(want[:1], properties{0, e.SequenceNumber, false, e.EnqueuedTime})
	}
	if len(hub) != 2 || !slices.EqualFunc(got, want, func(a, b properties) bool {
		same := a.LastEnqueuedTime.Equal(b.LastEnqueuedTime)
		a.LastEnqueuedTime = b.LastEnqueuedTime
		return same && a == b
	}) {
		return fmt.Errorf("the client saw of partition 0 %+v, want %+v", got, want)
	}
	return nil
}

// judgeDotnetPublish wants a plain event, an event with every section and every property, a value
// and a sequence.
func judgeDotnetPublish(w *world, check string, s said) error {
	if err := dotnetDid(s, "one", "properties", "valuebody"); err != nil {
		return err
	}
	events := stored(w, check)
	var messages []amqp.Message
	for _, e := range events {
		m, err := amqp.ParseMessage(e.Message)
		if err != nil {
			return err
		}
		if p := m.Properties; p != nil {
			// The client sets both from the time to live.
			if p.CreationTime == nil || p.AbsoluteExpiryTime == nil || p.AbsoluteExpiryTime.Sub(*p.CreationTime) != m.Header.TTL {
				return fmt.Errorf("an event with a time to live of %v has the properties %+v", m.Header.TTL, p)
			}
			p.CreationTime, p.AbsoluteExpiryTime = nil, nil
		}
		messages = append(messages, m)
	}
	symbol := func(key, value string) amqp.Map { return amqp.Map{{Key: amqp.Symbol(key), Value: value}} }
	want := []amqp.Message{
		{Data: [][]byte{[]byte("one")}},
		{
			Header:                &amqp.Header{Durable: true, Priority: new(uint8(9)), TTL: 5 * time.Minute, FirstAcquirer: true, DeliveryCount: 4},
			DeliveryAnnotations:   symbol("x-opt-d", "d"),
			Annotations:           symbol("x-opt-mine", "a"),
			ApplicationProperties: amqp.Map{{Key: "s", Value: "v"}},
			Data:                  [][]byte{[]byte("properties")},
			Footer:                symbol("x-opt-f", "f"),
			Properties: &amqp.Properties{
				MessageID: "id-1", UserID: []byte{1, 2}, To: new("to"), Subject: new("subject"), ReplyTo: new("reply"), CorrelationID: "cor-1",
				ContentType: new("text/plain"), ContentEncoding: new("gzip"), GroupID: new("g"), GroupSequence: new(uint32(7)), ReplyToGroupID: new("rg"),
			},
		},
		{Value: "value", HasValue: true},
		{Sequences: []amqp.List{{int32(1), "two"}}},
	}
	if len(messages) != len(want) {
		return fmt.Errorf("%d events are stored, want %d", len(messages), len(want))
	}
	for _, m := range want { // the first one may be in any partition
		if !slices.ContainsFunc(messages, func(other amqp.Message) bool { return reflect.DeepEqual(other, m) }) {
			return fmt.Errorf("none of the events %+v is %+v", messages, m)
		}
	}
	return nil
}

func judgeDotnetKey(w *world, check string, s said) error {
	if err := dotnetDid(s, "key"); err != nil {
		return err
	}
	events, err := storedOnce(w, check, []string{"k1", "k2"})
	return errors.Join(err, routed(events, checkNamed(check).partitions, func(emulator.Event) string { return "alphabet" }))
}

func judgeDotnetPartition(w *world, check string, s said) error {
	if err := dotnetDid(s, "id", "batch"); err != nil {
		return err
	}
	bodies := map[string][]string{"0": {"batch 0", "batch 1", "batch 2"}, "1": {"p1"}, "2": nil, "3": nil}
	for id, want := range bodies {
		var got []string
		for e := range w.serverOf(check).Events(hubOf(check), id) {
			got = append(got, string(e.Body))
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("partition %s holds %q, want %q", id, got, want)
		}
	}
	return nil
}

// judgeDotnetBiggest wants the client's largest event to be stored, in one message, and the client
// to refuse a larger one.
func judgeDotnetBiggest(w *world, check string, s said) error {
	const limit = 1_046_528
	biggest, err := once[struct{ Body, MaximumSizeInBytes int }](s, "biggest")
	if err != nil {
		return err
	}
	failed, err := once[dotnetFailure](s, "failed")
	if err != nil {
		return err
	}
	if failed.What != "toolarge" || failed.Reason != "MessageSizeExceeded" || failed.Transient || !strings.Contains(failed.Message, strconv.Itoa(limit)) {
		return fmt.Errorf("an event of 3 MiB failed as %+v, want MessageSizeExceeded with the limit", failed)
	}
	if biggest.MaximumSizeInBytes != limit || biggest.Body < limit-100 {
		return fmt.Errorf("the client takes %+v, want a limit of %d and a body that nearly fills it", biggest, limit)
	}
	if _, err := storedOnce(w, check, []string{strings.Repeat("\x00", biggest.Body)}); err != nil {
		return err
	}
	if counts := w.serverOf(check).Counts(hubOf(check), ""); counts.Batches != 1 {
		return fmt.Errorf("%d messages brought the event", counts.Batches)
	}
	return nil
}

// judgeDotnetConsumed wants the client to have read the stored events, from the start.
func judgeDotnetConsumed(w *world, check string, s said) error {
	if err := dotnetDid(s, "one", "batch"); err != nil {
		return err
	}
	events, err := storedOnce(w, check, []string{"one", "batch 0", "batch 1", "batch 2"})
	if err != nil {
		return err
	}
	got, err := dotnetReceived(s)
	if err != nil {
		return err
	}
	var want []received
	for _, e := range events {
		want = append(want, asReceived(e))
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the client received %+v, want %+v", got, want)
	}
	return nil
}

// dotnetReceived returns the events that the program has read, with the first 40 bytes of each
// body.
func dotnetReceived(s said) (all []received, err error) {
	type event struct {
		Partition, Body, Offset, Key string
		SequenceNumber               int64
		EnqueuedTime                 time.Time
	}
	events, err := told[event](s, "event")
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		all = append(all, received{Partition: e.Partition, Sequence: e.SequenceNumber, Offset: e.Offset, Time: e.EnqueuedTime.UnixMilli(), Key: e.Key, Body: e.Body})
	}
	count, err := once[int](s, "count")
	if err == nil && count != len(all) {
		err = fmt.Errorf("the client counts %d events, but reported %d", count, len(all))
	}
	return all, err
}

// judgeDotnetPositions wants the client to begin at the position that it asked for, in each form.
func judgeDotnetPositions(w *world, check string, s said) error {
	if err := dotnetDid(s, "one", "batch", "types"); err != nil {
		return err
	}
	events := stored(w, check)
	last := events[len(events)-1].SequenceNumber
	offset := func(e emulator.Event) int64 {
		n, _ := strconv.ParseInt(e.Offset, 10, 64)
		return n
	}
	if !slices.ContainsFunc(events, func(e emulator.Event) bool { return offset(e) == 44 }) {
		return errors.New("no event has the offset for which the program asks: it is no test")
	}
	for _, position := range []struct {
		name   string
		behind func(emulator.Event) bool
	}{
		{"earliest", func(emulator.Event) bool { return true }},
		{"latest", func(emulator.Event) bool { return false }},
		{"sequence 5, after", func(e emulator.Event) bool { return e.SequenceNumber > 5 }},
		{"sequence 5, from", func(e emulator.Event) bool { return e.SequenceNumber >= 5 }},
		{"offset 44, after", func(e emulator.Event) bool { return offset(e) > 44 }},
		{"offset 44, from", func(e emulator.Event) bool { return offset(e) >= 44 }},
		{"time", func(emulator.Event) bool { return true }},
		{"future", func(emulator.Event) bool { return false }},
	} {
		got, err := once[struct {
			N           int
			First, Last *int64
			Type        string
			Message     string
		}](s, position.name)
		if err != nil {
			return err
		}
		if got.Type != "" {
			return fmt.Errorf("from %q the client heard %s: %s", position.name, got.Type, got.Message)
		}
		i := slices.IndexFunc(events, position.behind)
		switch {
		case i < 0 && got.N != 0:
			return fmt.Errorf("from %q the client received %d events, the first with number %d, want none", position.name, got.N, *got.First)
		// It receives the available events, up to five at once.
		case i >= 0 && (got.N < 1 || got.N > 5 || *got.First != events[i].SequenceNumber || got.Last == nil || *got.Last != last):
			return fmt.Errorf("from %q the client received %+v, want number %d first, and the last enqueued number to be %d", position.name, got, events[i].SequenceNumber, last)
		}
	}
	return nil
}

func judgeDotnetThrottled(w *world, check string, s said) error {
	if err := dotnetDid(s, "one"); err != nil {
		return err
	}
	if n := len(w.transferConnections(hubOf(check))); n != 2 {
		return fmt.Errorf("the client sent %d times, want twice", n)
	}
	_, err := storedOnce(w, check, []string{"one"})
	return err
}

func judgeDotnetProducerReconnects(w *world, check string, s said) error {
	if err := errors.Join(dotnetDid(s, "one", "one", "one"), reconnected(w.transferConnections(hubOf(check)))); err != nil {
		return err
	}
	_, err := storedOnce(w, check, []string{"one", "one", "one"})
	return err
}

func judgeDotnetConsumerReconnects(w *world, check string, s said) error {
	if err := dotnetDid(s, "one", "batch", "key", "id"); err != nil {
		return err
	}
	got, err := dotnetReceived(s)
	if err != nil {
		return err
	}
	return judgeConsumerReconnects(w, &observation{Check: check, Received: got})
}

// judgeDotnetOwners wants the receiver with the higher owner level to take over, and the others to
// get an error. The client may hand on events that it had before it has noticed its loss.
func judgeDotnetOwners(_ *world, _ string, s said) error {
	for _, name := range []string{"a, level 1", "b, level 2", "b again"} {
		n, err := once[int](s, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%q received nothing", name)
		}
	}
	for name, text := range map[string]string{"a again": "higher epoch|New receiver", "c, no level": "non-epoch receiver is not allowed"} {
		if _, err := once[int](s, name); err == nil && name == "a again" {
			continue
		}
		got, err := once[struct {
			Reason, Message string
			IsTransient     bool
		}](s, name)
		if err != nil {
			return err
		}
		if got.Reason != "ConsumerDisconnected" || got.IsTransient || !regexp.MustCompile(text).MatchString(got.Message) {
			return fmt.Errorf("%q heard %+v, want ConsumerDisconnected for good, with %q", name, got, text)
		}
	}
	return nil
}

func judgeDotnetRefused(w *world, check string, s said) error {
	failed, err := told[dotnetFailure](s, "failed")
	if err != nil {
		return err
	}
	if len(failed) != 2 {
		return fmt.Errorf("the program reported %+v, want two refusals", failed)
	}
	as := func(f dotnetFailure) refusal { return refusal{Code: f.Type, Message: f.Message} }
	return judgeRefusedSAS(w, &observation{Check: check, WrongKey: as(failed[0]), ListenOnly: as(failed[1])})
}

// judgeDotnetOurs wants the client to have read the events of this project's producer. The program
// reports the start of a body.
func judgeDotnetOurs(w *world, check string, s said) error {
	const shown = 40
	got, err := dotnetReceived(s)
	if err != nil {
		return err
	}
	begun := &world{earthquakes: slices.Clone(w.earthquakes)}
	for i, e := range begun.earthquakes {
		begun.earthquakes[i].body = e.body[:min(shown, len(e.body))]
	}
	return judgeOurs(begun, &observation{Check: check, Received: got})
}
