package main

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// allEvents returns the events of a hub with their messages, by body.
func allEvents(t *testing.T, server *emulator.Server) map[string]amqp.Message {
	t.Helper()
	all := map[string]amqp.Message{}
	for _, id := range server.PartitionIDs("events") {
		for e := range server.Events("events", id) {
			m, err := amqp.ParseMessage(e.Message)
			if err != nil {
				t.Fatal(err)
			}
			all[string(e.Body)] = m
		}
	}
	return all
}

func TestFieldsBecomeIDsAndProperties(t *testing.T) {
	input := `{"id":"m-1","of":"c-1","kind":{"name":"order","n":7},"ok":true}
{"id":7,"of":18446744073709551615,"kind":{"name":"ü","n":-1.5},"ok":null}
`
	args := []string{"--message-id", "id", "--correlation-id", "of", "--property-field", "type=kind.name", "--property-field", "n=kind.n", "--property-field", "ok=ok", "--property", "source=test"}
	for _, format := range []string{"lines", "ndjson"} {
		server, got := publishTo(t, input, append(args, "--format", format, "-")...)
		got.want(t, exitOK)
		all := allEvents(t, server)
		for i, want := range []struct {
			id, of     any
			properties map[string]any
		}{
			{"m-1", "c-1", map[string]any{"type": "order", "n": int64(7), "ok": true, "source": "test"}},
			{uint64(7), uint64(math.MaxUint64), map[string]any{"type": "ü", "n": -1.5, "source": "test"}},
		} {
			m := all[strings.Split(input, "\n")[i]]
			if m.Properties == nil || m.Properties.MessageID != want.id || m.Properties.CorrelationID != want.of {
				t.Errorf("event %d: got the ids %+v want %v and %v", i, m.Properties, want.id, want.of)
			}
			if len(m.ApplicationProperties) != len(want.properties) {
				t.Errorf("event %d: got the properties %v want %v", i, m.ApplicationProperties, want.properties)
			}
			for name, value := range want.properties {
				if got, _ := m.ApplicationProperties.Get(name); got != value {
					t.Errorf("event %d: property %s: got %T %v want %T %v", i, name, got, got, value, value)
				}
			}
		}
	}
}

// A number is kept as it is, or refused.
func TestAFieldThatCannotBeKeptIsBad(t *testing.T) {
	for _, test := range []struct{ flag, field, want string }{
		{"--property-field=p=f", `18446744073709551616`, `field "f" is 18446744073709551616, which is too large a number`},
		{"--property-field=p=f", `-9223372036854775809`, `field "f" is -9223372036854775809, which is too large a number`},
		{"--property-field=p=f", `1e400`, `field "f" is 1e400, which is too large a number`},
		{"--property-field=p=f", `0.12345678901234567890`, `field "f" is 0.12345678901234567890, which`},
		{"--property-field=p=f", `[1]`, `field "f" is an object or an array`},
		{"--property-field=p=f", `"\ud800"`, `field "f" has \ud800 without its other half`},
		{"--property-field=p=g", `1`, `no field "g"`},
		{"--message-id=f", `-1`, `field "f" is -1, which is no id`},
		{"--message-id=f", `1.5`, `field "f" is 1.5, which is no id`},
		{"--message-id=f", `""`, `field "f" is an empty string, which is no id`},
		{"--message-id=f", `null`, `field "f" is null, which is no id`},
		{"--message-id=f", `true`, `field "f" is true, which is no id`},
		{"--correlation-id=f", `{}`, `field "f" is an object`},
		{"--correlation-id=f", `18446744073709551616`, `field "f" is 18446744073709551616, which is too large a number`},
		{"--correlation-id=g", `1`, `no field "g"`},
	} {
		server, got := publishTo(t, fmt.Sprintf("{\"f\":%s}\n", test.field), test.flag, "-")
		got.want(t, exitBadInput, "standard input: line 1: "+test.want)
		wantStored(t, server)
	}
}

// The parts of an event that fields make must come back from the file of --undelivered.
func TestUndeliveredEventsKeepTheirIDs(t *testing.T) {
	server := startServer(t)
	refuse(server)
	lost := t.TempDir() + "/lost"
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}, stdin: strings.NewReader("{\"id\":\"m\",\"n\":7}\n{\"id\":8,\"n\":9}\n")}
	p.run(t, "publish", "--message-id", "id", "--correlation-id", "n", "--undelivered", lost, "-").want(t, exitFailed)
	server.SetHook(nil)
	p.run(t, "publish", "--format", "events", lost).want(t, exitOK)
	all := allEvents(t, server)
	for body, want := range map[string][2]any{`{"id":"m","n":7}`: {"m", uint64(7)}, `{"id":8,"n":9}`: {uint64(8), uint64(9)}} {
		m := all[body]
		if m.Properties == nil || m.Properties.MessageID != want[0] || m.Properties.CorrelationID != want[1] {
			t.Errorf("%s: got %+v want %v", body, m.Properties, want)
		}
	}
}
