package main

import (
	"strings"
	"testing"
)

func TestTheEmulatorSaysOnceThatItForgetsEvents(t *testing.T) {
	command, p := startEmulatorCommand(t, "--hub", "orders:1", "--max-memory", "1MiB")
	lines := strings.Repeat(strings.Repeat("x", 999)+"\n", 2000)
	for range 2 {
		p.run(t, "publish", "--hub", "orders", writeFile(t, lines)).want(t, exitOK)
	}
	said, _ := command.stderr.get()
	if want := "The events do not fit in memory any more: from now on the oldest ones are forgotten, as by retention (bound: 1048576).\n"; strings.Count(said, want) != 1 {
		t.Errorf("standard error does not have the line %q once: %s", want, said)
	}
	p.run(t, "tail", "--hub", "orders", "--from", "start", "--count", "100").want(t, exitOK)
	if command.stop() != exitOK {
		t.Error("the emulator failed")
	}
}

func TestTheSizeOfTheMemoryHasAUnit(t *testing.T) {
	for text, want := range map[string]int64{"1048576": 1 << 20, "2048KiB": 2 << 20, "512MiB": 512 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40} {
		opts, err := parseEmulator([]string{"--max-memory", text})
		if err != nil || opts.server.MaxMemory != want {
			t.Errorf("%s: got %+v, %v, want %d", text, opts, err, want)
		}
	}
	for _, text := range []string{"512MB", "2G", "MiB", "-1MiB", "1.5GiB", "9999999999GiB", ""} {
		program{}.run(t, "emulator", "--max-memory", text).want(t, exitBadInput, "--max-memory", "want a number of bytes, or one with KiB, MiB, GiB or TiB")
	}
	program{}.run(t, "emulator", "--max-memory", "512").want(t, exitBadInput, "--max-memory is 512 bytes; it must be at least 1MiB")
	program{}.run(t, "emulator", "--max-memory", "512MiB", "--discard").want(t, exitBadInput, "--discard keeps no events, so --max-memory would bound nothing")
}
