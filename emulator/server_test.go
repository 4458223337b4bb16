package emulator_test

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

func TestConnectionStringIsWhatClientsParse(t *testing.T) {
	for name, options := range map[string]*emulator.Options{
		"tcp": nil, "memory": {Addr: emulator.InMemory}, "everywhere": {Addr: "0.0.0.0:0"},
	} {
		server := emulatortest.New(t, options)
		for _, hub := range []string{"", "events"} {
			text := server.ConnectionString(hub)
			got, err := azeventhubs.ParseConnectionString(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !got.Emulator || got.SharedAccessKey == nil || *got.SharedAccessKeyName != "RootManageSharedAccessKey" {
				t.Errorf("%s: %+v", name, got)
			}
			if path := got.EntityPath; (hub == "") != (path == nil) || path != nil && *path != hub {
				t.Errorf("%s: hub %q is not the entity path of %s", name, hub, text)
			}
			if strings.Contains(got.FullyQualifiedNamespace, "0.0.0.0") {
				t.Errorf("%s: clients cannot dial %s", name, got.FullyQualifiedNamespace)
			}
		}
	}
}

func TestServerListensOnLoopbackUnlessToldOtherwise(t *testing.T) {
	for _, options := range []*emulator.Options{nil, {Addr: ":0", ExtraAddrs: []string{":0"}}} {
		for _, addr := range emulatortest.New(t, options).Addrs() {
			host, _, err := net.SplitHostPort(addr)
			if err != nil || host != "127.0.0.1" {
				t.Errorf("it listens on %q, %v; want a loopback address", addr, err)
			}
		}
	}
	if got := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory}).Addr(); got != emulator.InMemory {
		t.Errorf("Addr() = %q without a listener", got)
	}
}

func TestAddressInUseIsNamed(t *testing.T) {
	first := emulatortest.New(t, nil)
	_, err := emulator.New(&emulator.Options{Addr: first.Addr()})
	if err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("a second server on %s: %v", first.Addr(), err)
	}
}

func TestClosedServerRefusesDial(t *testing.T) {
	server := emulatortest.New(t, nil)
	for range 2 {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := server.Dial(t.Context()); !errors.Is(err, emulator.ErrClosed) {
		t.Errorf("Dial: %v, want ErrClosed", err)
	}
	if nc, err := net.Dial("tcp", server.Addr()); err == nil {
		_ = nc.Close()
		t.Error("a closed server still listens")
	}
}

func TestConnectionThatSaysNothingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("reading: %v, want EOF", err)
		}
		if waited := time.Since(begin); waited != 20*time.Second {
			t.Errorf("dropped after %v, want 20 s", waited)
		}
		_ = nc.Close()
	})
}

func TestWaitForEventsTellsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		client := newProducer(t, server, "events", inMemory(server))
		mustPublish(t, client, nil, "a", "b")
		if err := server.WaitForEvents(t.Context(), "EVENTS", 2); err != nil {
			t.Errorf("two events are there: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := server.WaitForEvents(ctx, "events", 3)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has 2 of the 3 events") {
			t.Errorf("waiting for a third event: %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- server.WaitForEvents(context.Background(), "events", 3) }() // ends with the third event
		synctest.Wait()
		mustPublish(t, client, nil, "c")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := server.WaitForEvents(t.Context(), "nosuch", 0); err == nil {
			t.Error("waited for a hub that does not exist")
		}
	})
}

func TestInspectingWhatDoesNotExistFindsNothing(t *testing.T) {
	server := emulatortest.New(t, nil)
	for range server.Events("nosuch", "0") {
		t.Error("an unknown hub has an event")
	}
	for range server.Events("events", "7") {
		t.Error("an unknown partition has an event")
	}
	if got := server.Counts("nosuch", ""); got != (emulator.Counts{}) {
		t.Errorf("an unknown hub counts %+v", got)
	}
	if got := server.PartitionIDs("nosuch"); got != nil {
		t.Errorf("an unknown hub has partitions %v", got)
	}
}

func TestOpenSaysWhatTheServiceSays(t *testing.T) {
	for _, test := range []struct {
		name string
		idle time.Duration
		want time.Duration
	}{
		{"default", 0, 4 * time.Minute},
		{"chosen", time.Minute, time.Minute},
		{"none", -1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, IdleTimeout: test.idle})
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := amqp.Client(t.Context(), nc, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(nil) }()
			open := conn.Peer()
			if open.IdleTimeout != test.want || open.MaxFrameSize != 65_536 || open.ChannelMax == nil || *open.ChannelMax != 4_999 {
				t.Errorf("open is %+v, want an idle time-out of %v, frames of 65,536 bytes and 5,000 channels", open, test.want)
			}
			if !regexp.MustCompile(`^[0-9a-f]{32}_G\d$`).MatchString(open.ContainerID) {
				t.Errorf("container-id is %q", open.ContainerID)
			}
		})
	}
}
