package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestThePageShowsWhatWasPublished(t *testing.T) {
	command, p := startEmulatorCommand(t, "--hub", "orders:2", "--http", ":0", "--health", "127.0.0.1:0", "--latency", "1ms", "--jitter", "10%")
	said, _ := command.stderr.get()
	found := regexp.MustCompile(`Page: (http://127\.0\.0\.1:\d+/)\n`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("standard error names no page on loopback: %s", said)
	}
	p.run(t, "publish", "--hub", "orders", writeFile(t, "a\nb\nc\n")).want(t, exitOK)
	response, err := http.Get(found[1] + "api/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Hubs []struct {
			Name       string
			Partitions []struct{ Events int }
		}
		InForce []string
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Hubs) != 1 || got.Hubs[0].Name != "orders" || got.Hubs[0].Partitions[0].Events+got.Hubs[0].Partitions[1].Events != 3 {
		t.Errorf("the page shows %+v, want the hub orders alone, with 3 events", got.Hubs)
	}
	if want := "Every answer takes 1ms, 100µs more or less."; strings.Join(got.InForce, "|") != want {
		t.Errorf("in force is %q, want %q", got.InForce, want)
	}
	if command.stop() != exitOK {
		t.Error("the emulator failed")
	}
	if response, err := http.Get(found[1]); err == nil {
		response.Body.Close()
		t.Error("the page is still there when the emulator has ended")
	}
}

func TestThePagesAddressIsTaken(t *testing.T) {
	command, _ := startEmulatorCommand(t, "--http", "127.0.0.1:0")
	said, _ := command.stderr.get()
	addr := regexp.MustCompile(`Page: http://(.*)/\n`).FindStringSubmatch(said)[1]
	program{}.run(t, "emulator", "--http", addr).want(t, exitFailed, "is taken by another program", "--http 127.0.0.1:0 takes a free one")
	program{}.run(t, "emulator", "--http", "8080").want(t, exitBadInput, `--http "8080" is not HOST:PORT`)
}

func TestIdleFlagsBecomeOptions(t *testing.T) {
	for args, want := range map[string]emulator.Idle{
		"":                                    {Sender: 30 * time.Minute, Connection: 5 * time.Minute, NewConnection: time.Minute},
		"--idle-link 10s":                     {Sender: 10 * time.Second, Connection: 5 * time.Minute, NewConnection: time.Minute},
		"--idle-connection 5s":                {Sender: 30 * time.Minute, Connection: 5 * time.Second, NewConnection: 5 * time.Second},
		"--idle-link 0 --idle-connection 0":   {Sender: -1, Connection: -1, NewConnection: -1},
		"--idle-link 1h --idle-connection 2h": {Sender: time.Hour, Connection: 2 * time.Hour, NewConnection: time.Minute},
	} {
		opts, err := parseEmulator(strings.Fields(args))
		if err != nil || opts.server.Idle != want {
			t.Errorf("%q: got %+v, %v, want %+v", args, opts.server.Idle, err, want)
		}
	}
	for _, flag := range []string{"--idle-link", "--idle-connection"} {
		program{}.run(t, "emulator", flag, "-1s").want(t, exitBadInput, flag+" is -1s; it cannot be negative, and 0 means never")
	}
}
