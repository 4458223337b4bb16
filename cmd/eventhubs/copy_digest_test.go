package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// The sum of two runs is the sum of one run over all events, wherever the first ended.
func TestSumsOfRunsFollowEachOther(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	events := make([]digest, 1000)
	for i := range events {
		for j := range events[i] {
			events[i][j] = byte(random.Uint32())
		}
	}
	g := group{partition: "0"}
	of := func(list []digest) sums {
		s := sums{}
		for _, d := range list {
			s.add(g, "0", d)
		}
		return s
	}
	whole := of(events)[g]
	for range 50 {
		cut := random.IntN(len(events) + 1)
		both := of(events[:cut])
		both.follow(of(events[cut:]))
		if *both[g] != *whole {
			t.Fatalf("cut at %d: got %+v, want %+v", cut, *both[g], *whole)
		}
		i, j := random.IntN(len(events)), random.IntN(len(events))
		if i == j {
			continue
		}
		swapped := slices.Clone(events)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		if got := of(swapped)[g]; got.total != whole.total || got.chain == whole.chain {
			t.Errorf("swapped %d and %d: got %+v, want another chain than %+v and the same total", i, j, *got, *whole)
		}
	}
}

// Copies have one digest, in any order of their maps and in any hub. Any other change makes another
// digest.
func TestDigestsAreOfWhatIsCopied(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	maker := amqptest.Random(seed)
	d := newDigester(false)
	for i := range 500 {
		m := maker.Message()
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: "n", Value: int64(i)})
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		read := func() amqp.Message {
			m, err := amqp.ParseMessage(encoded)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		original := read()
		want := d.of(&original)
		same := read()
		shuffle := func(m amqp.Map) {
			random.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
		}
		shuffle(same.ApplicationProperties)
		same.Annotations = append(same.Annotations, amqp.Pair{Key: amqp.Symbol(eventjson.SequenceAnnotation), Value: int64(7)}, amqp.Pair{Key: amqp.Symbol("com.microsoft:producer-id"), Value: int64(7)})
		shuffle(same.Annotations)
		same.Header, same.DeliveryAnnotations, same.Footer = nil, nil, nil
		if got := d.of(&same); got != want {
			t.Fatalf("message %d: the copy has another digest: %q", i, encoded)
		}
		for name, change := range map[string]func(m *amqp.Message){
			"a property's type": func(m *amqp.Message) {
				m.ApplicationProperties[len(m.ApplicationProperties)-1].Value = int32(i)
			},
			"a property more": func(m *amqp.Message) {
				m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: "more"})
			},
			"an annotation more": func(m *amqp.Message) {
				m.Annotations = append(m.Annotations, amqp.Pair{Key: amqp.Symbol("more"), Value: int64(1)})
			},
			"another key": func(m *amqp.Message) {
				m.Annotations = append(m.Annotations, amqp.Pair{Key: amqp.Symbol(eventjson.KeyAnnotation), Value: "k"})
			},
			"a subject": func(m *amqp.Message) {
				p := amqp.Properties{}
				if m.Properties != nil {
					p = *m.Properties
				}
				p.Subject = new("another subject")
				m.Properties = &p
			},
			"the body": func(m *amqp.Message) {
				switch {
				case len(m.Data) > 0:
					m.Data = append(m.Data, []byte{})
				case len(m.Sequences) > 0:
					m.Sequences = append(m.Sequences, amqp.List{})
				default:
					m.HasValue, m.Value = true, amqp.List{m.Value, "more"}
				}
			},
		} {
			other := read()
			change(&other)
			if d.of(&other) == want {
				t.Fatalf("message %d with %s has the same digest: %q", i, name, encoded)
			}
		}
	}
}

// --source-properties changes no digest.
func TestDigestsLeaveSourcePropertiesOut(t *testing.T) {
	d := newDigester(true)
	plain := amqp.Message{ApplicationProperties: amqp.Map{{Key: "a", Value: int64(1)}}, Data: [][]byte{[]byte("x")}}
	described := plain
	described.ApplicationProperties = amqp.Map{{Key: sourceOffset, Value: "7"}, {Key: "a", Value: int64(1)}, {Key: sourcePartition, Value: "1"}}
	if d.of(&plain) != d.of(&described) {
		t.Error("the properties of the source are in the digest")
	}
}

// A checkpoint of this command is read back. Anything else is refused or has no more places than
// partitions.
func FuzzCopyCheckpoint(f *testing.F) {
	f.Add(appendCopyCheckpoint(nil, []*copiedPartition{{last: -1}, {last: 41}, {last: 1 << 40}}), 3)
	f.Add([]byte(copyMark), 1)
	f.Add([]byte(checkpointMark), 1)
	f.Fuzz(func(t *testing.T, text []byte, partitions int) {
		places, ok := parseCopyCheckpoint(text, partitions)
		if !ok {
			return
		}
		var parts []*copiedPartition
		for _, last := range places {
			if last < -1 || len(places) > partitions {
				t.Fatalf("%q: got the places %v of %d partitions", text, places, partitions)
			}
			parts = append(parts, &copiedPartition{last: last})
		}
		again, ok := parseCopyCheckpoint(appendCopyCheckpoint(nil, parts), partitions)
		if !ok || !slices.Equal(again, places) {
			t.Fatalf("%q: got %v and %v", text, places, again)
		}
	})
}
