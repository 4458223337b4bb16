package amqptest

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A test of arbitrary messages is only as good as the made messages: 300 of them have every type,
// section and body.
func TestAMakerMakesOfEverything(t *testing.T) {
	got := map[string]int{}
	var look func(v any)
	look = func(v any) {
		got[fmt.Sprintf("%T", v)]++
		switch v := v.(type) {
		case amqp.Map:
			for _, p := range v {
				look(p.Key)
				look(p.Value)
			}
		case amqp.List:
			for _, e := range v {
				look(e)
			}
		case []amqp.Map:
			for _, m := range v {
				look(m)
			}
		case amqp.Described:
			got[fmt.Sprintf("described by %T", v.Descriptor)]++
			if n, ok := v.Descriptor.(uint64); ok && n < 0x100 {
				got[fmt.Sprintf("described by %#x", n)]++
			}
			look(v.Value)
		}
		if rv := reflect.ValueOf(v); rv.IsValid() && rv.Kind() == reflect.Slice && rv.Len() == 0 {
			got[fmt.Sprintf("empty %T", v)]++
		}
	}
	m := Random(1)
	for range 300 {
		message := m.Message()
		for section, annotations := range map[string]amqp.Map{"delivery annotations": message.DeliveryAnnotations, "annotations": message.Annotations, "application properties": message.ApplicationProperties, "footer": message.Footer} {
			if annotations != nil {
				got[section]++
				look(annotations)
			}
		}
		if p := message.Properties; p != nil {
			got["properties"]++
			got[fmt.Sprintf("id %T", p.MessageID)]++
		}
		if message.Header != nil {
			got["header"]++
		}
		for _, data := range message.Data {
			got[fmt.Sprintf("data, null %v", data == nil)]++
		}
		for _, s := range message.Sequences {
			got["sequence"]++
			look(s)
		}
		if message.HasValue {
			got["value"]++
			look(message.Value)
		}
		if len(message.Data)+len(message.Sequences) == 0 && !message.HasValue {
			got["no body"]++
		}
		got[fmt.Sprintf("%d sections of data", len(message.Data))]++
	}
	for _, want := range []string{
		"<nil>", "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64", "[]uint8", "amqp.UUID", "time.Time", "string", "amqp.List", "amqp.Map", "amqp.Described",
		"[]bool", "amqp.Ubytes", "[]uint16", "[]uint32", "[]uint64", "[]int8", "[]int16", "[]int32", "[]int64", "[]float32", "[]float64", "[]string", "[]amqp.Symbol", "[][]uint8", "[]time.Time", "[]amqp.UUID", "[]amqp.Map",
		"empty amqp.List", "empty amqp.Map", "empty []string", "described by amqp.Symbol", "described by uint64", "described by int16", "described by 0x1d", "described by 0x25", "described by 0x27", "described by 0x24",
		"delivery annotations", "annotations", "application properties", "footer", "header", "properties", "id <nil>", "id string", "id uint64", "id amqp.UUID", "id []uint8",
		"data, null true", "data, null false", "sequence", "value", "no body", "1 sections of data", "3 sections of data",
	} {
		if got[want] == 0 {
			t.Errorf("300 messages have no %s", want)
		}
	}
}
