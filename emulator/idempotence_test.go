package emulator

import (
	"math"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

func TestSequenceNumbersWrapToZero(t *testing.T) {
	for _, test := range []struct {
		n, want int32
		by      int
	}{{0, 1, 1}, {5, 8, 3}, {math.MaxInt32, 0, 1}, {math.MaxInt32 - 1, 2, 4}} {
		if got := follow(test.n, test.by); got != test.want {
			t.Errorf("%d events behind %d is %d, want %d", test.by, test.n, got, test.want)
		}
	}
}

// enroll enrolls a client that attaches as want, and returns whom the partition forgets for it.
func enroll(t *testing.T, ps *producers, want identity) (got identity, forgotten []int64) {
	t.Helper()
	got, state, refused := ps.plan(want, Idempotence{})
	if refused != nil {
		t.Fatal(refused)
	}
	forgotten = ps.surplus(got.id.Value)
	ps.enroll(got.id.Value, state, forgotten)
	return got, forgotten
}

// enrolled is a set of producers that includes one with id 1, epoch 0 and this last number.
func enrolled(t *testing.T, last int32) *producers {
	t.Helper()
	ps := &producers{}
	enroll(t, ps, identity{id: amqp.Some(int64(1)), epoch: amqp.Some(int16(0)), sequence: amqp.Some(last)})
	return ps
}

func TestOnlyTheLatestBatchesAreRecognisedAgain(t *testing.T) {
	ps := enrolled(t, 0)
	for i := range int32(20) {
		ps.stored(&numbers{id: 1, first: i + 1, last: i + 1, sum: uint32(i)})
	}
	for i := range int32(20) {
		duplicate, refused := ps.check(&numbers{id: 1, first: i + 1, last: i + 1, sum: uint32(i)}, Idempotence{})
		if want := i >= 4; duplicate != want || (refused == nil) != want {
			t.Errorf("batch %d of 20 is a duplicate: %v, %v; want %v", i, duplicate, refused, want)
		}
	}
}

func TestIdleProducersAreForgottenWhenThereAreTooMany(t *testing.T) {
	ps := enrolled(t, 0)
	for id := range int64(maxProducers) {
		if id == maxProducers/2 {
			ps.stored(&numbers{id: 1, first: 1, last: 1}) // not idle, so it stays
		}
		got, forgotten := enroll(t, ps, identity{id: amqp.Some(id + 2)})
		if got.id.Value != id+2 {
			t.Fatal(got)
		}
		if want := id == maxProducers-1; slices.Equal(forgotten, []int64{2}) != want {
			t.Errorf("when producer %d came, %v went", id+2, forgotten)
		}
	}
	if ps.byID[1] == nil || len(ps.byID) != maxProducers {
		t.Errorf("%d producers are known, want %d with the one that sent", len(ps.byID), maxProducers)
	}
}

func TestAssignedProducerIDsAreExactInJavaScript(t *testing.T) {
	ps := &producers{}
	seen := make(map[int64]bool)
	for range 1000 {
		got, _ := enroll(t, ps, identity{})
		if got.id.Value < 1 || got.id.Value >= 1<<53 || seen[got.id.Value] {
			t.Fatalf("assigned %d", got.id.Value)
		}
		seen[got.id.Value] = true
	}
}

func producerAnnotations(id, epoch, sequence any) amqp.Map {
	return amqp.Map{
		{Key: amqp.Symbol("color"), Value: "red"},
		{Key: amqp.Symbol(producerID), Value: id},
		{Key: amqp.Symbol(producerEpoch), Value: epoch},
		{Key: amqp.Symbol(producerSequence), Value: sequence},
	}
}

func TestNumbersAreReadInEveryEncoding(t *testing.T) {
	for _, id := range []int64{0, 1, -1, 127, 128, -129, math.MaxInt64, math.MinInt64} {
		for _, epoch := range []int16{0, 1, -1, math.MaxInt16, math.MinInt16} {
			for _, sequence := range []int32{0, -1, 127, 128, math.MaxInt32, math.MinInt32} {
				value, err := amqp.AppendValue(nil, producerAnnotations(id, epoch, sequence))
				if err != nil {
					t.Fatal(err)
				}
				gotID, gotEpoch, gotSequence, refused := readNumbers(value)
				if refused != nil || gotID != id || gotEpoch != epoch || gotSequence != sequence {
					t.Fatalf("read %d, %d, %d, %v; want %d, %d, %d", gotID, gotEpoch, gotSequence, refused, id, epoch, sequence)
				}
			}
		}
	}
}

func TestNumbersOfOtherTypesAreRefused(t *testing.T) {
	for name, annotations := range map[string]amqp.Map{
		"none":        nil,
		"a long":      producerAnnotations(int64(1), int64(0), int32(0)),
		"an int":      producerAnnotations(int32(1), int16(0), int32(0)),
		"unsigned":    producerAnnotations(int64(1), int16(0), uint32(0)),
		"null":        producerAnnotations(int64(1), int16(0), nil),
		"one missing": producerAnnotations(int64(1), int16(0), int32(1))[:3],
	} {
		value, err := amqp.AppendValue(nil, annotations)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, refused := readNumbers(value); refused == nil || refused.condition != conditionArgument {
			t.Errorf("%s: %v, want %s", name, refused, conditionArgument)
		}
	}
}

// FuzzReadNumbers checks the scanner, which decodes nothing else, against the decoder.
func FuzzReadNumbers(f *testing.F) {
	for _, m := range []amqp.Map{nil, producerAnnotations(int64(1), int16(2), int32(3)), producerAnnotations(int64(1<<40), int16(-2), int32(1<<30))} {
		value, err := amqp.AppendValue(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, annotations []byte) {
		id, epoch, sequence, refused := readNumbers(annotations)
		v, rest, err := amqp.ReadValue(annotations)
		m, ok := v.(amqp.Map)
		if err != nil || !ok || len(rest) != 0 || refused != nil {
			return
		}
		count := 0
		for _, p := range m {
			switch p.Key {
			case amqp.Symbol(producerID), amqp.Symbol(producerEpoch), amqp.Symbol(producerSequence):
				count++
			}
		}
		if count != 3 {
			return // a duplicate key: either value may count
		}
		wantID, _ := m.Get(producerID)
		wantEpoch, _ := m.Get(producerEpoch)
		wantSequence, _ := m.Get(producerSequence)
		if wantID != id || wantEpoch != epoch || wantSequence != sequence {
			t.Errorf("read %d, %d, %d; the decoder has %v", id, epoch, sequence, m)
		}
	})
}

// BenchmarkNumber reads the numbers of a batch of events of 1 KB.
func BenchmarkNumber(b *testing.B) {
	m := amqp.Message{Annotations: producerAnnotations(int64(1<<40), int16(1), int32(1)), Data: [][]byte{make([]byte, 1024)}}
	event, err := m.AppendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	split, _, refused := splitMessage(event, 0)
	if refused != nil {
		b.Fatal(refused)
	}
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if refused := split.number(); refused != nil {
			b.Fatal(refused)
		}
	}
}
