package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
)

func TestEveryValueBecomesJSON(t *testing.T) {
	at := time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600))
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "true"}, {int8(-1), "-1"}, {uint64(math.MaxUint64), "18446744073709551615"}, {"t", `"t"`},
		{1.5, "1.5"}, {float32(0.5), "0.5"}, {1.0, "1.0"}, {float32(-2), "-2.0"}, {1234567.5, "1234567.5"}, {1e20, "100000000000000000000.0"}, {1e21, "1e+21"},
		{math.NaN(), `"NaN"`}, {float32(math.Inf(-1)), `"-Inf"`},
		{[]byte{0xff}, `"/w=="`}, {at, `"2026-01-31T12:00:00Z"`}, {amqp.Symbol("s"), `"s"`},
		{amqp.UUID{0: 1, 15: 2}, `"01000000-0000-0000-0000-000000000002"`},
		{[]any{math.NaN(), []byte{1}}, `["NaN","AQ=="]`}, {[][]any{{1}, {"a"}}, `[1,"a"]`},
		{map[string]any{"a": at}, `{"a":"2026-01-31T12:00:00Z"}`}, {map[any]any{1: []byte{1}}, `{"1":"AQ=="}`},
		{make(chan int, 1), ""}, // nothing that AMQP has; anything that can be printed will do
	} {
		got, err := json.Marshal(jsonValue(test.value))
		if err != nil || test.want != "" && string(got) != test.want {
			t.Errorf("%T %v: got %s, %v, want %s", test.value, test.value, got, err, test.want)
		}
	}
}

func TestBodiesOfEveryKindArePrinted(t *testing.T) {
	for _, test := range []struct {
		body azeventhubs.AMQPAnnotatedMessageBody
		want string
		text string
	}{
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("a"), []byte("b")}}, `"body":"ab"`, "ab"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{{0xc3}, {0xbc}}}, `"body":"ü"`, "ü"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: false}, `"bodyValue":false`, "false"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: "\x1b[2J"}, `"bodyValue":"\u001b[2J"`, `"\u001b[2J"`},
		{azeventhubs.AMQPAnnotatedMessageBody{Sequence: [][]any{{1}, {2}}}, `"bodyValue":[1,2]`, "[1,2]"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{{}}}, `"body":""`, ""},
		{azeventhubs.AMQPAnnotatedMessageBody{}, "", "-"}, // a tombstone
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{nil}}, "", "-"},
	} {
		r := newEventRecord("0", &azeventhubs.ReceivedEventData{
			RawAMQPMessage: &azeventhubs.AMQPAnnotatedMessage{Body: test.body}, PartitionKey: new("k\x1b\n"),
		})
		got, err := json.Marshal(r)
		want := `{"partition":"0","sequenceNumber":0,"offset":"","enqueuedTime":"","key":"k\u001b\n","properties":{},` + test.want + "}"
		if test.want == "" {
			want = strings.Replace(want, ",}", "}", 1)
		}
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		if got, want := r.text(), "0\t0\t\tk\\x1b\\n\t"+test.text+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
