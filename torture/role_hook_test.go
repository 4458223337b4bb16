package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A fault meets the producer that it is for, once, and no other.
func TestAFaultInTheServiceMeetsItsProducer(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: hubName, Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	var out bytes.Buffer
	h := &hook{server: server, messages: newLine[message](&out), armed: make(map[int][]arm), producers: make(map[int]int)}
	server.SetHook(h.decide)
	publish := func(producer int) eventhubs.Storage {
		p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString(hubName), hubName, &eventhubs.Options{
			Identifier: identifier(producer, 7), MaxWaitTime: eventhubs.SendAtOnce,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Abandon(t.Context()) }()
		o, _ := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("event")})
		return o.Storage
	}
	h.arm(arm{ID: 5, Kind: "reject for good", Producer: 3})
	h.arm(arm{ID: 6, Kind: "slow store", Producer: 3, For: time.Millisecond})
	for i, step := range []struct {
		producer int
		want     eventhubs.Storage
		acted    int // the fault that must have; 0 for none
	}{{2, eventhubs.Stored, 0}, {3, eventhubs.NotStored, 5}, {3, eventhubs.Stored, 6}, {3, eventhubs.Stored, 0}} {
		out.Reset()
		if got := publish(step.producer); got != step.want {
			t.Errorf("event %d, of producer %d, is %v, want %v", i, step.producer, got, step.want)
		}
		var m message
		if err := json.Unmarshal(out.Bytes(), &m); step.acted == 0 {
			if out.Len() > 0 {
				t.Errorf("event %d: a fault acted: %s", i, &out)
			}
		} else if err != nil || m.Acted == nil || m.Acted.ID != step.acted || m.Acted.Partition != 0 {
			t.Errorf("event %d: %s, %v, want that fault %d acted in partition 0", i, &out, err, step.acted)
		}
	}
	h.arm(arm{ID: 7, Kind: "reject for good", Producer: 3})
	h.disarm()
	if got := publish(3); got != eventhubs.Stored {
		t.Errorf("after disarm an event is %v", got)
	}
}
