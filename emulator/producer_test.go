package emulator_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	producerID       = amqp.Symbol("com.microsoft:producer-id")
	producerEpoch    = amqp.Symbol("com.microsoft:producer-epoch")
	producerSequence = amqp.Symbol("com.microsoft:producer-sequence-number")
)

// An identity is stated by an idempotent producer in its attach: nil means null.
type identity struct{ id, epoch, sequence any }

func (i identity) properties() amqp.Map {
	if i == (identity{}) {
		return amqp.Map{} // as JavaScript's client does
	}
	return amqp.Map{{Key: producerID, Value: i.id}, {Key: producerEpoch, Value: i.epoch}, {Key: producerSequence, Value: i.sequence}}
}

// A producer is an idempotent producer's link with the reply to its attach.
type producer struct {
	link *amqp.Link
	got  identity
}

// attachProducer attaches as an idempotent producer.
func attachProducer(t *testing.T, server *emulator.Server, address string, want identity) (producer, error) {
	t.Helper()
	link, err := openClient(t, server).Attach(t.Context(), &amqp.Attach{
		Name: "s", Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: address},
		DesiredCapabilities: []amqp.Symbol{"com.microsoft:idempotent-producer"}, Properties: want.properties(),
	})
	if err != nil {
		return producer{}, err
	}
	p := producer{link: link}
	reply := link.Remote().Properties
	p.got.id, _ = reply.Get(string(producerID))
	p.got.epoch, _ = reply.Get(string(producerEpoch))
	p.got.sequence, _ = reply.Get(string(producerSequence))
	return p, nil
}

func mustAttachProducer(t *testing.T, server *emulator.Server, want identity) producer {
	t.Helper()
	p, err := attachProducer(t, server, "events/Partitions/0", want)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send sends events as a batch that is numbered from first, with the epoch in the reply to the
// attach. It returns the condition of a rejection.
func (p producer) send(t *testing.T, first int32, bodies ...string) string {
	t.Helper()
	var payload []byte
	for i, body := range bodies {
		m := amqp.Message{Data: [][]byte{[]byte(body)}, Annotations: amqp.Map{
			{Key: producerID, Value: p.got.id}, {Key: producerEpoch, Value: p.got.epoch},
			{Key: producerSequence, Value: int32((int64(first) + int64(i)) & math.MaxInt32)},
		}}
		event, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		payload = amqp.AppendBinary(amqp.AppendSectionHeader(payload, amqp.SectionData), event)
	}
	return sendRaw(t, p.link, payload)
}

// sendRaw sends a batch and returns the condition of a rejection.
func sendRaw(t *testing.T, link *amqp.Link, payload []byte) string {
	t.Helper()
	d := &amqp.Delivery{Format: 0x80013700, Payload: payload}
	if err := link.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	state, err := d.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	switch state := state.(type) {
	case amqp.Accepted:
		return ""
	case amqp.Rejected:
		if !strings.Contains(state.Error.Description, "TrackingId:") {
			t.Errorf("the text %q has no tracking id", state.Error.Description)
		}
		return string(state.Error.Condition)
	default:
		t.Fatalf("the outcome is %T", state)
		return ""
	}
}

// refusedWith is the condition of an error of the project's own engine.
func refusedWith(err error) string {
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return string(e.Condition)
	}
	return fmt.Sprint(err)
}

func newServer(t *testing.T, options emulator.Options) *emulator.Server {
	t.Helper()
	options.Addr = emulator.InMemory
	return emulatortest.New(t, &options)
}

const (
	stolen     = "com.microsoft:producer-epoch-stolen"
	outOfOrder = "com.microsoft:out-of-order-sequence"
	outOfRange = "com.microsoft:argument-out-of-range"
	argument   = "com.microsoft:argument-error"
)

func TestProducerIsAssignedAnIdentity(t *testing.T) {
	server := newServer(t, emulator.Options{})
	p := mustAttachProducer(t, server, identity{})
	id, ok := p.got.id.(int64)
	if !ok || id <= 0 || p.got.epoch != int16(0) || p.got.sequence != int32(0) {
		t.Errorf("the reply says %v; want a long of more than 0, the short 0 and the int 0", p.got)
	}
	if !slices.Contains(p.link.Remote().OfferedCapabilities, "com.microsoft:idempotent-producer") {
		t.Errorf("the reply offers %v", p.link.Remote().OfferedCapabilities)
	}
	if got := p.send(t, 1, "a", "b", "c", "d", "e"); got != "" {
		t.Errorf("sending: %s", got)
	}
	other := mustAttachProducer(t, server, identity{})
	if other.got.id == p.got.id {
		t.Errorf("two producers have the id %v", id)
	}
	again := mustAttachProducer(t, server, identity{id: id})
	if again.got != (identity{id, int16(0), int32(5)}) {
		t.Errorf("after 5 events the reply says %v", again.got)
	}
	for i, e := range slices.Collect(server.Events("events", "0")) {
		if e.Annotations[string(producerSequence)] != int32(i+1) || e.Annotations[string(producerID)] != id {
			t.Errorf("event %d is stored with %v", i, e.Annotations)
		}
	}
}

func TestProducerTakesItsIdentityOver(t *testing.T) {
	for _, test := range []struct{ want, got identity }{
		{identity{int64(7), int16(3), int32(40)}, identity{int64(7), int16(3), int32(40)}},
		{identity{id: int64(8)}, identity{int64(8), int16(0), int32(0)}},
		{identity{id: int64(9), epoch: int16(2)}, identity{int64(9), int16(2), int32(0)}},
		{identity{id: int64(0), sequence: int32(5)}, identity{int64(0), int16(0), int32(5)}},
	} {
		p := mustAttachProducer(t, newServer(t, emulator.Options{}), test.want)
		if p.got != test.got {
			t.Errorf("attached with %v, the reply says %v, want %v", test.want, p.got, test.got)
		}
		if got := p.send(t, p.got.sequence.(int32)+1, "a"); got != "" {
			t.Errorf("%v: sending: %s", test.want, got)
		}
	}
}

func TestResentBatchIsStoredOnce(t *testing.T) {
	server := newServer(t, emulator.Options{})
	p := mustAttachProducer(t, server, identity{})
	for range 3 {
		if got := p.send(t, 1, "a", "b"); got != "" {
			t.Errorf("sending 1 and 2: %s", got)
		}
	}
	again := mustAttachProducer(t, server, p.got) // as after a lost connection
	if got := again.send(t, 1, "a", "b"); got != "" {
		t.Errorf("sending 1 and 2 on another link: %s", got)
	}
	if got := again.send(t, 3, "c"); got != "" {
		t.Errorf("sending 3: %s", got)
	}
	if got := again.send(t, 1, "a", "b"); got != "" {
		t.Errorf("sending 1 and 2 late: %s", got)
	}
	if got := bodies(server, "events", "0"); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("stored are %q", got)
	}
	if got := server.Counts("events", ""); got.Events != 3 || got.Batches != 2 {
		t.Errorf("counted are %+v", got)
	}
}

func TestSequenceOutOfOrderIsRefused(t *testing.T) {
	server := newServer(t, emulator.Options{})
	p := mustAttachProducer(t, server, identity{})
	p.send(t, 1, "a", "b")
	p.send(t, 3, "c", "d")
	for _, test := range []struct {
		name   string
		first  int32
		bodies []string
	}{
		{"a gap", 6, []string{"f"}},
		{"from the beginning", 0, []string{"x"}},
		{"stale, other data", 3, []string{"c", "x"}},
		{"stale, a part of a batch", 3, []string{"c"}},
		{"stale, two batches in one", 1, []string{"a", "b", "c", "d"}},
		{"partly stale", 4, []string{"d", "e"}},
		{"stale and more", 3, []string{"c", "d", "e"}},
	} {
		if got := p.send(t, test.first, test.bodies...); got != outOfOrder {
			t.Errorf("%s: %q, want %s", test.name, got, outOfOrder)
		}
	}
	if got := p.send(t, 5, "e"); got != "" {
		t.Errorf("the next one in order: %s", got)
	}
	if got := bodies(server, "events", "0"); fmt.Sprint(got) != "[a b c d e]" {
		t.Errorf("stored are %q", got)
	}
}

func TestNumbersAloneMayDecideAboutAResend(t *testing.T) {
	server := newServer(t, emulator.Options{Idempotence: emulator.Idempotence{TrustNumbers: true}})
	p := mustAttachProducer(t, server, identity{})
	p.send(t, 1, "a", "b")
	if got := p.send(t, 1, "x", "y"); got != "" {
		t.Errorf("other events under the same numbers: %s", got)
	}
	if got := p.send(t, 1, "a"); got != outOfOrder {
		t.Errorf("a part of them: %q, want %s", got, outOfOrder)
	}
	if got := bodies(server, "events", "0"); fmt.Sprint(got) != "[a b]" {
		t.Errorf("stored are %q", got)
	}
}

func TestBatchMustBeNumberedInItself(t *testing.T) {
	server := newServer(t, emulator.Options{})
	p := mustAttachProducer(t, server, identity{})
	event := func(id any, sequence int32) []byte {
		m := amqp.Message{Data: [][]byte{{1}}, Annotations: amqp.Map{{Key: producerID, Value: id}, {Key: producerEpoch, Value: int16(0)}, {Key: producerSequence, Value: sequence}}}
		out, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		return amqp.AppendBinary(amqp.AppendSectionHeader(nil, amqp.SectionData), out)
	}
	for _, test := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"a jump", slices.Concat(event(p.got.id, 1), event(p.got.id, 3)), outOfOrder},
		{"another producer's event", slices.Concat(event(p.got.id, 1), event(int64(1), 2)), argument},
		{"no number", slices.Concat(event(p.got.id, 1), event(nil, 2)), argument},
		{"a producer that never attached", event(int64(1), 1), outOfOrder},
	} {
		if got := sendRaw(t, p.link, test.payload); got != test.want {
			t.Errorf("%s: %q, want %s", test.name, got, test.want)
		}
	}
	if got := p.send(t, 1, "a"); got != "" {
		t.Errorf("a good one behind them: %s", got)
	}
}

func TestSequenceWrapsToZero(t *testing.T) {
	server := newServer(t, emulator.Options{})
	p := mustAttachProducer(t, server, identity{int64(1), int16(0), int32(math.MaxInt32 - 2)})
	for range 2 { // the second time it is a retry
		if got := p.send(t, math.MaxInt32-1, "a", "b", "c", "d"); got != "" {
			t.Errorf("sending the two largest numbers, 0 and 1: %s", got)
		}
	}
	if got := p.send(t, 2, "e"); got != "" {
		t.Errorf("sending 2: %s", got)
	}
	if got := server.Counts("events", "0").Events; got != 5 {
		t.Errorf("%d events stored, want 5", got)
	}
}

func TestHigherEpochFencesTheOlderProducer(t *testing.T) {
	server := newServer(t, emulator.Options{})
	old := mustAttachProducer(t, server, identity{int64(7), int16(1), nil})
	old.send(t, 1, "a")
	same := mustAttachProducer(t, server, identity{int64(7), int16(1), nil}) // fences no other producer
	if got := old.send(t, 2, "b"); got != "" {
		t.Errorf("sending while another has the same epoch: %s", got)
	}
	young := mustAttachProducer(t, server, identity{int64(7), int16(2), nil})
	if young.got != (identity{int64(7), int16(2), int32(2)}) {
		t.Errorf("the producer with the higher epoch is told %v", young.got)
	}
	for _, p := range []producer{old, same} {
		for _, first := range []int32{2, 3} { // the stored number, and the next one
			if got := p.send(t, first, "b"); got != stolen {
				t.Errorf("the fenced producer sends %d: %q, want %s", first, got, stolen)
			}
		}
	}
	if got := young.send(t, 2, "b"); got != outOfOrder {
		t.Errorf("what the older producer has stored, with the higher epoch: %q, want %s", got, outOfOrder)
	}
	if got := young.send(t, 3, "c"); got != "" {
		t.Errorf("the producer with the higher epoch sends: %s", got)
	}
	if _, err := attachProducer(t, server, "events/Partitions/0", identity{int64(7), int16(1), nil}); refusedWith(err) != stolen {
		t.Errorf("attaching with the lower epoch: %v, want %s", err, stolen)
	}
	young.got.epoch = int16(3)
	if got := young.send(t, 4, "d"); got != outOfRange {
		t.Errorf("sending with an epoch that nobody attached with: %q, want %s", got, outOfRange)
	}
	// Another partition knows nothing of all this.
	p, err := attachProducer(t, server, "events/Partitions/1", identity{int64(7), int16(1), nil})
	if err != nil || p.got.sequence != int32(0) {
		t.Errorf("attaching to another partition: %v, %v", p.got, err)
	}
}

func TestReattachEchoesOrReports(t *testing.T) {
	for _, report := range []bool{false, true} {
		server := newServer(t, emulator.Options{Idempotence: emulator.Idempotence{ReportTracked: report}})
		first := mustAttachProducer(t, server, identity{int64(7), int16(1), int32(10)})
		first.send(t, 11, "a", "b", "c")
		for _, test := range []struct {
			want               identity
			echoes, reportsNow int32
		}{
			{identity{int64(7), int16(1), int32(10)}, 10, 13},
			{identity{int64(7), int16(1), nil}, 13, 13},
			{identity{int64(7), nil, nil}, 13, 13},
			{identity{int64(7), int16(1), int32(13)}, 13, 13},
		} {
			sequence := test.echoes
			if report {
				sequence = test.reportsNow
			}
			if got := mustAttachProducer(t, server, test.want).got; got != (identity{int64(7), int16(1), sequence}) {
				t.Errorf("ReportTracked %v: attached with %v, the reply says %v", report, test.want, got)
			}
		}
		// Whatever the reply states, the same bytes are stored once and the next number is the
		// next.
		again := mustAttachProducer(t, server, identity{int64(7), int16(1), int32(10)})
		if got := again.send(t, 11, "a", "b", "c"); got != "" {
			t.Errorf("ReportTracked %v: sending again: %s", report, got)
		}
		if got := again.send(t, 14, "d"); got != "" {
			t.Errorf("ReportTracked %v: sending the next: %s", report, got)
		}
		if got := server.Counts("events", "0").Events; got != 4 {
			t.Errorf("ReportTracked %v: %d events stored, want 4", report, got)
		}
	}
}

func TestIdentitiesThatAreRefused(t *testing.T) {
	server := newServer(t, emulator.Options{})
	for _, test := range []struct {
		name string
		id   identity
		want string
	}{
		{"negative epoch", identity{int64(1), int16(-1), nil}, outOfRange},
		{"negative id", identity{int64(-1), int16(1), nil}, outOfRange},
		{"negative sequence number", identity{int64(1), int16(1), int32(-1)}, outOfRange},
		{"epoch of another type", identity{int64(1), int32(1), nil}, argument},
		{"id of another type", identity{"1", int16(1), nil}, argument},
	} {
		if _, err := attachProducer(t, server, "events/Partitions/0", test.id); refusedWith(err) != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

func TestIdempotenceIsOfferedOnlyWhereItWorks(t *testing.T) {
	off := emulator.Options{Idempotence: emulator.Idempotence{Off: true}}
	for _, test := range []struct {
		name    string
		options emulator.Options
		address string
	}{
		{"switched off", off, "events/Partitions/0"},
		{"link to a hub", emulator.Options{}, "events"},
		{"link to a publisher", emulator.Options{}, "events/Publishers/me"},
	} {
		server := newServer(t, test.options)
		p, err := attachProducer(t, server, test.address, identity{})
		if err != nil {
			t.Fatal(err)
		}
		if reply := p.link.Remote(); p.got != (identity{}) || len(reply.OfferedCapabilities) != 0 {
			t.Errorf("%s: the reply says %v and offers %v", test.name, p.got, reply.OfferedCapabilities)
		}
		p.got = identity{int64(1), int16(0), nil}
		for range 2 {
			if got := p.send(t, 1, "a"); got != "" {
				t.Errorf("%s: sending: %s", test.name, got)
			}
		}
		if got := server.Counts("events", "").Events; got != 2 {
			t.Errorf("%s: %d events stored, want both", test.name, got)
		}
	}
}
