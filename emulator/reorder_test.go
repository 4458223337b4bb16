package emulator

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// sectionsOf are the sections of a message with one of each kind, in AMQP's order.
func sectionsOf(t *testing.T) (all [][]byte, m amqp.Message) {
	t.Helper()
	m = amqp.Message{
		Header:                &amqp.Header{Durable: true},
		DeliveryAnnotations:   amqp.Map{{Key: amqp.Symbol("hop"), Value: "h"}},
		Annotations:           amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}, {Key: amqp.Symbol("x-opt-offset"), Value: "forged"}},
		Properties:            &amqp.Properties{MessageID: uint64(5)},
		ApplicationProperties: amqp.Map{{Key: "p", Value: "v"}},
		Data:                  [][]byte{[]byte("one"), []byte("two")},
		Footer:                amqp.Map{{Key: amqp.Symbol("f"), Value: true}},
	}
	for s, err := range amqp.Sections(encode(m)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s.Raw)
	}
	return all, m
}

// TestSectionsMayComeInAnyOrder has every order that some client might write: Python's has the
// delivery annotations last.
func TestSectionsMayComeInAnyOrder(t *testing.T) {
	all, sent := sectionsOf(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	orders := [][]int{{0, 2, 3, 4, 5, 6, 7, 1}} // Python's
	for range 500 {
		orders = append(orders, random.Perm(len(all)))
	}
	metrics := newPartition(0, settings{}).appendMetrics(nil)
	for _, order := range orders {
		var encoded []byte
		body, after, datas := false, false, [][]byte(nil)
		for _, i := range order {
			encoded = append(encoded, all[i]...)
			switch i {
			case 1:
				after = body
			case 5, 6:
				body, datas = true, append(datas, sent.Data[i-5])
			}
		}
		for _, format := range []uint32{0, formatBatch} {
			payload := encoded
			if format == formatBatch {
				payload = encodeBatch(nil, encode(text("first")), encoded)
			}
			b, r, refused := splitMessage(slices.Clone(payload), format)
			if refused != nil {
				t.Fatalf("order %v, format %#x: %v", order, format, refused)
			}
			newPartition(0, settings{}).append(b)
			i := len(b.events) - 1
			if got := b.message(i); !bytes.Equal(got, encoded) {
				t.Fatalf("order %v: kept % x, want the client's bytes % x", order, got, encoded)
			}
			if format == 0 && (r.key != "k" || !r.hasKey) {
				t.Errorf("order %v: the partition key is %q, want k", order, r.key)
			}
			for _, before := range [][]byte{nil, metrics} {
				delivered := b.appendMessage(nil, i, before)
				last := byte(0)
				for s := range amqp.Sections(delivered) {
					if s.Code < last {
						t.Errorf("order %v: delivered section %#x after %#x", order, s.Code, last)
					}
					last = s.Code
				}
				got, err := amqp.ParseMessage(delivered)
				if err != nil {
					t.Fatalf("order %v: %v", order, err)
				}
				wantPairs := 0
				if after {
					wantPairs = 1
				}
				if before != nil {
					wantPairs += 4
				}
				if hop, _ := got.DeliveryAnnotations.Get("hop"); len(got.DeliveryAnnotations) != wantPairs || after != (hop == "h") {
					t.Errorf("order %v: delivery annotations %v, want %d, and the client's only after the body", order, got.DeliveryAnnotations, wantPairs)
				}
				if offset, _ := got.Annotations.Get(annotationOffset); len(got.Annotations) != 4 || offset != fmt.Sprint(b.offsetOf(i)) {
					t.Errorf("order %v: annotations %v, want the key and the service's three", order, got.Annotations)
				}
				want := sent
				want.Data = datas
				got.DeliveryAnnotations, got.Annotations = want.DeliveryAnnotations, want.Annotations
				if !reflect.DeepEqual(got, want) {
					t.Errorf("order %v: delivered %+v, want %+v", order, got, want)
				}
			}
		}
	}
}
