//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// roleVariable in the environment makes the program one of the measured processes.
const roleVariable = "MEASURE_ROLE"

const hubName = "events"

// A job is what a process reads first from its standard input.
type job struct {
	Role       string // emulator, load or probe
	Address    string // of the emulator
	Partitions int

	IdleTimeout time.Duration // emulator: what it announces; negative: nothing

	Connections     int // load
	Sends           int // in flight for each partition
	EventBytes      int
	Every           time.Duration // one event for each partition; 0: as many as possible
	WarmUp, Lasting time.Duration

	Buffer      int           // MaxBufferedBytes; 0: the default
	TryTimeout  time.Duration // 0: the default
	DialTimeout time.Duration // of the dialer; 0: the default, negative: none
	UserTimeout time.Duration // TCP_USER_TIMEOUT; 0: none
	KeepAlive   keepAlive
	Control     string // congestion control; empty: the kernel's default
}

// A keepAlive is that of TCP. The zero value is Go's default.
type keepAlive struct {
	Off            bool
	Idle, Interval time.Duration
	Count          int
}

// A message is a line that a process writes.
type message struct {
	At      time.Time
	Address string `json:",omitempty"` // emulator: it listens

	Result *result `json:",omitempty"` // load

	Stored       int           `json:",omitempty"` // probe: the event of this number is stored
	Took         time.Duration `json:",omitempty"` // since its Enqueue
	Failed       string        `json:",omitempty"` // probe: a try failed, or an event
	Disconnected string        `json:",omitempty"`
}

// A result is of a load.
type result struct {
	BytesPerSecond float64
	P50, P99, Max  time.Duration // from Enqueue to the outcome
	Failed         int           // tries
}

func play(in io.Reader, out io.Writer) error {
	commands := json.NewDecoder(in)
	var j job
	if err := commands.Decode(&j); err != nil {
		return err
	}
	switch j.Role {
	case "emulator":
		return playEmulator(&j, in, json.NewEncoder(out))
	case "load":
		r, err := load(&j)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(message{At: time.Now(), Result: r})
	case "probe":
		return probeEvents(&j, commands, json.NewEncoder(out))
	}
	return fmt.Errorf("unknown role %q", j.Role)
}

// playEmulator is the service, until its input ends.
func playEmulator(j *job, in io.Reader, out *json.Encoder) error {
	server, err := emulator.New(&emulator.Options{
		Addr: j.Address, IdleTimeout: j.IdleTimeout, Discard: true,
		Idle: emulator.Idle{Sender: -1, Connection: -1},
		Hubs: []emulator.Hub{{Name: hubName, Partitions: j.Partitions}},
	})
	if err != nil {
		return err
	}
	if err := out.Encode(message{At: time.Now(), Address: server.Addr()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	_ = server.Close()
	return err
}
