package main

import (
	"encoding/json"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
)

func TestBodiesOfEveryKindArePrinted(t *testing.T) {
	for _, test := range []struct {
		body azeventhubs.AMQPAnnotatedMessageBody
		want string
		text string
	}{
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("a"), []byte("b")}}, `"body":"ab","bodyLengths":[1,1]`, "ab"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{{}}}, `"body":""`, ""},
		// The next three are a tombstone in each of its forms.
		{azeventhubs.AMQPAnnotatedMessageBody{}, `"bodyValue":null`, "-"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: amqp.Null{}}, `"bodyValue":null,"types":{"body":"null"}`, "-"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{nil}}, `"bodyValue":null,"types":{"body":"nullData"}`, "-"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{nil, {}, []byte("a")}}, `"body":"a","bodyLengths":[-1,0,1]`, "a"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: int32(1)}, `"bodyValue":1,"types":{"body":"int"}`, "1"},
		{azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{{0xc3}, {0xbc}}}, `"body":"ü","bodyLengths":[1,1]`, "ü"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: false}, `"bodyValue":false`, "false"},
		{azeventhubs.AMQPAnnotatedMessageBody{Value: "\x1b[2J"}, `"bodyValue":"\u001b[2J"`, `"\u001b[2J"`},
		{azeventhubs.AMQPAnnotatedMessageBody{Sequence: [][]any{{1}, {2}}}, `"bodyValue":[[1],[2]],"types":{"body":"sequences"}`, "[[1],[2]]"},
	} {
		r := newEventRecord("0", &azeventhubs.ReceivedEventData{
			RawAMQPMessage: &azeventhubs.AMQPAnnotatedMessage{Body: test.body}, PartitionKey: new("k\x1b\n"),
		})
		got, err := json.Marshal(r)
		want := `{"partition":"0","sequenceNumber":0,"offset":"","enqueuedTime":"","key":"k\u001b\n","properties":{},` + test.want + "}"
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		if got, want := r.text(), "0\t0\t\tk\\x1b\\n\t"+test.text+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
