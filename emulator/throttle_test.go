package emulator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// acceptedIn sends messages as fast as possible for d and counts the accepted ones.
func acceptedIn(t *testing.T, sender *amqp.Sender, d time.Duration, size int) (n int) {
	t.Helper()
	for range int(d / time.Millisecond) { // two each millisecond, twice the rate of one unit
		for range 2 {
			err := sender.Send(t.Context(), amqp.NewMessage(make([]byte, size)), nil)
			switch {
			case err == nil:
				n++
			case condition(err) != "com.microsoft:server-busy" || !strings.Contains(err.Error(), "Error code : 50002. Sub error : 102. Please wait 4 seconds and try again."):
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond) // virtual
	}
	return n
}

func TestThroughputUnitsBoundEventsAndBytes(t *testing.T) {
	for _, test := range []struct {
		name                     string
		units, size, want, about int // accepted of 4,000 in 2 seconds
	}{
		{"no units", 0, 10, 4000, 0},
		{"events of one unit", 1, 10, 1000 + 2*1000, 2},
		{"events of two units", 2, 10, 4000, 0},
		{"bytes of one unit", 1, 5000 - 8, 200 + 2*200, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newServer(t, emulator.Options{ThroughputUnits: test.units})
				sender := mustSender(t, server, "events/Partitions/0")
				got := acceptedIn(t, sender, 2*time.Second, test.size)
				if got < test.want-test.about || got > test.want+test.about {
					t.Errorf("%d messages accepted, want %d", got, test.want)
				}
				if stored := server.Counts("events", "").Events; stored != got {
					t.Errorf("%d are stored", stored)
				}
			})
		})
	}
}

func TestAllHubsShareTheThroughputUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{ThroughputUnits: 1, Hubs: []emulator.Hub{{Name: "a"}, {Name: "b"}}})
		a, b := mustSender(t, server, "a"), mustSender(t, server, "b")
		for range 1000 {
			if err := a.Send(t.Context(), amqp.NewMessage([]byte("x")), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Send(t.Context(), amqp.NewMessage([]byte("x")), nil); condition(err) != "com.microsoft:server-busy" {
			t.Errorf("another hub, when the units are used up: %v", err)
		}
	})
}

func TestGoSDKIsThrottledThenAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{ThroughputUnits: 1})
		client, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString("events"), "", &azeventhubs.ProducerClientOptions{NewWebSocketConn: inMemory(server)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close(context.Background()) }()
		begin := time.Now()
		body := strings.Repeat("x", 1_000_000) // the next message would exceed the limit of one second
		for range 4 {
			mustPublish(t, client, nil, body)
		}
		if took := time.Since(begin); took < 2*time.Second || took > time.Minute {
			t.Errorf("4 MB at 1 MB a second took %v", took)
		}
		if got := server.Counts("events", "").Events; got != 4 {
			t.Errorf("%d events stored, want 4", got)
		}
	})
}

func TestFiftyManagementCallsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{ThroughputUnits: 1})
		management := openNode(t, mustSession(t, server), "$management", "me")
		for range 2 {
			for range 50 {
				checkStatus(t, management.call(t, read(nil)), 200, "OK", "")
			}
			checkStatus(t, management.call(t, read(nil)), 503, "Error code : 50008.", "com.microsoft:server-busy")
			time.Sleep(time.Second)
		}
		unlimited := newServer(t, emulator.Options{})
		management = openNode(t, mustSession(t, unlimited), "$management", "me")
		for range 60 {
			checkStatus(t, management.call(t, read(nil)), 200, "OK", "")
		}
	})
}

func TestHubThatIsDisabled(t *testing.T) {
	server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "off", Disabled: true}, {Name: "on"}}})
	session := mustSession(t, server)
	for _, address := range []string{"off", "off/Partitions/0", "off/Publishers/me"} {
		_, err := session.NewSender(t.Context(), address, nil)
		if condition(err) != "com.microsoft:entity-disabled" || !strings.Contains(err.Error(), "/off' is disabled. TrackingId:") {
			t.Errorf("sender to %s: %v", address, err)
		}
	}
	_, err := session.NewReceiver(t.Context(), "off/ConsumerGroups/$Default/Partitions/0", nil)
	if condition(err) != "com.microsoft:entity-disabled" {
		t.Errorf("receiver: %v", err)
	}
	checkStatus(t, openNode(t, session, "$management", "me").call(t, read(map[string]any{"name": "off"})), 200, "OK", "")
	if _, err := session.NewSender(t.Context(), "on", nil); err != nil {
		t.Errorf("sender to another hub: %v", err)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for want, options := range map[string]emulator.Options{
		"Options.ThroughputUnits":   {ThroughputUnits: -1},
		"Options.Hubs[0].Retention": {Hubs: []emulator.Hub{{Name: "h", Retention: emulator.Retention{Bytes: -1}}}},
		"Options.Discard":           {Discard: true, Store: newMemoryStore()},
	} {
		options.Addr = emulator.InMemory
		_, err := emulator.New(&options)
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
}

// Units that change while clients send bound them from then on, in either direction.
func TestThroughputUnitsChangeWhileTheServerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{ThroughputUnits: 2})
		sender := mustSender(t, server, "events/Partitions/0")
		for _, phase := range []struct{ units, want int }{{2, 4000}, {1, 1000 + 2*1000}, {0, 4000}, {1, 1000 + 2*1000}, {2, 4000}} {
			if err := server.SetThroughputUnits(phase.units); err != nil {
				t.Fatal(err)
			}
			if got := server.Snapshot().ThroughputUnits; got != phase.units {
				t.Errorf("the snapshot shows %d units, want %d", got, phase.units)
			}
			if got := acceptedIn(t, sender, 2*time.Second, 10); got < phase.want-2 || got > phase.want+2 {
				t.Errorf("with %d units %d messages accepted, want %d", phase.units, got, phase.want)
			}
			time.Sleep(2 * time.Second) // the bucket is full again
		}
		if err := server.SetThroughputUnits(-1); err == nil || !strings.Contains(err.Error(), "SetThroughputUnits(-1)") {
			t.Errorf("-1 units: %v, want an error that names the call", err)
		}
	})
}

// A client that has used up the old units, or overdrawn them, waits for the new ones.
func TestFewerUnitsForgiveNothing(t *testing.T) {
	for _, c := range []struct {
		name             string
		size, takes      int // the messages that two units take at once
		refused, allowed time.Duration
	}{
		{"events", 10, 2000, 0, time.Millisecond},
		{"bytes", 900_000, 3, 600 * time.Millisecond, 800 * time.Millisecond}, // 0.7 MB too many
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newServer(t, emulator.Options{ThroughputUnits: 2})
				sender := mustSender(t, server, "events/Partitions/0")
				send := func() error { return sender.Send(t.Context(), amqp.NewMessage(make([]byte, c.size)), nil) }
				for range c.takes {
					if err := send(); err != nil {
						t.Fatal(err)
					}
				}
				if err := server.SetThroughputUnits(1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.refused)
				if err := send(); condition(err) != "com.microsoft:server-busy" {
					t.Errorf("after %v: %v, want server-busy", c.refused, err)
				}
				time.Sleep(c.allowed - c.refused)
				if err := send(); err != nil {
					t.Errorf("after %v: %v", c.allowed, err)
				}
			})
		})
	}
}
