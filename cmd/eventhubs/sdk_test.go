package main

import (
	"errors"
	"fmt"
	"testing"

	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
)

func TestWhatTheServiceHasSaidIsFoundInAnErrorOfTheSDK(t *testing.T) {
	said := &goamqp.Error{Condition: "amqp:not-found", Description: "no such group"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"itself":  {said, "amqp:not-found no such group"},
		"wrapped": {fmt.Errorf("receiving: %w", &goamqp.LinkError{RemoteErr: said}), "amqp:not-found no such group"},
		"joined":  {errors.Join(errors.New("other"), said), "amqp:not-found no such group"},
		"nothing": {fmt.Errorf("receiving: %w", &goamqp.LinkError{}), " "},
		"nil":     {nil, " "},
	} {
		if condition, description := saidByService(c.err); condition+" "+description != c.want {
			t.Errorf("%s: got %q, %q, want %q", name, condition, description, c.want)
		}
	}
}

// unknownToSDK must agree with the SDK's codec: the test asks go-amqp itself.
func TestWhatTheSDKDoesNotKnowIsWhatItCannotRead(t *testing.T) {
	odd := []any{
		amqp.Char('x'), []amqp.Char{'x'}, amqp.Decimal32{1}, amqp.Decimal64{1}, amqp.Decimal128{1}, []amqp.List{{int32(1)}}, amqp.Array{amqp.Decimal32{1}, amqp.Decimal32{2}},
	}
	check := func(m *amqp.Message, unknown bool) {
		t.Helper()
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, unread := messageUnknownToSDK(encoded), new(goamqp.Message).UnmarshalBinary(encoded)
		if (got != nil) != unknown || (unread != nil) != unknown {
			t.Errorf("%+v: said to be unknown: %v; go-amqp: %v; want unknown %v", m, got, unread, unknown)
		}
	}
	for _, v := range odd {
		check(&amqp.Message{ApplicationProperties: amqp.Map{{Key: "k", Value: v}}, Data: [][]byte{{1}}}, true)
		check(&amqp.Message{Annotations: amqp.Map{{Key: amqp.Symbol("k"), Value: amqp.List{v}}}, Data: [][]byte{{1}}}, true)
		check(&amqp.Message{HasValue: true, Value: amqp.Map{{Key: "k", Value: amqp.Described{Descriptor: uint64(7), Value: v}}}}, true)
		check(&amqp.Message{Sequences: []amqp.List{{v}}}, true)
	}
	maker := amqptest.Random(1)
	for range 2000 {
		check(&amqp.Message{ApplicationProperties: amqp.Map{{Key: "k", Value: maker.Value(3)}}, Data: [][]byte{{1}}}, false)
	}
}
