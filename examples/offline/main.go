// A gateway without a network: it collects a week's earthquakes while its hub cannot be reached,
// and is killed twice in between (SIGKILL). Accepted events are in a journal on its disk. Each
// event's Checkpoint is the place in the source, so the next life goes on after the last event
// accepted. When the network is back, each earthquake is stored once, in the order of its seismic
// network.
//
// The program runs the gateway as a process of its own, and kills that. The journal is in a
// temporary directory; a real gateway has it on its own disk.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
	"github.com/go-eventhubs/eventhubs/examples/internal/quakes"
)

// partitions of the hub in the emulator.
const partitions = 4

func main() {
	run := watch
	if os.Getenv(journalEnv) != "" {
		run = gateway
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// watch lets the gateway live three times, and then looks into the hub.
func watch(ctx context.Context) error {
	h, err := hub.Open(partitions, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	directory, err := os.MkdirTemp("", "offline")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()

	for life, l := range []struct {
		network string
		dies    string // after that many earthquakes; empty: never
	}{{"off", "700"}, {"off", "500"}, {"on", ""}} {
		fmt.Printf("life %d, network %s\n", life+1, l.network)
		self, err := os.Executable()
		if err != nil {
			return err
		}
		program := exec.CommandContext(ctx, self)
		program.Env = append(os.Environ(), journalEnv+"="+directory, networkEnv+"="+l.network, diesEnv+"="+l.dies, "EVENTHUBS_CONNECTION_STRING="+h.ConnectionString)
		program.Stdout, program.Stderr = os.Stdout, os.Stderr
		err = program.Run()
		if _, died := errors.AsType[*exec.ExitError](err); died && l.dies != "" {
			fmt.Println("  killed")
		} else if err != nil {
			return err
		}
	}
	return compare(h)
}

// compare compares the emulator's hub with the source.
func compare(h *hub.Hub) error {
	file, err := quakes.Open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	places := make(map[string]int) // in the source
	for lines := bufio.NewScanner(file); lines.Scan(); {
		places[lines.Text()] = len(places)
	}
	stored, disorder := 0, 0
	for id := range partitions {
		last := make(map[string]int) // of each seismic network
		for _, body := range h.Stored(fmt.Sprint(id)) {
			q, err := parse([]byte(body))
			if err != nil {
				return err
			}
			place, ok := places[body]
			if !ok {
				return fmt.Errorf("the hub has an event twice, or one that is not of the source: %s", bytes.TrimSpace([]byte(body)))
			}
			delete(places, body)
			if stored++; place < last[q.Properties.Net] {
				disorder++
			}
			last[q.Properties.Net] = place
		}
	}
	if stored > 0 { // not for a hub of your own
		fmt.Printf("the hub has %d earthquakes: %d missing, none twice, %d out of order\n", stored, len(places), disorder)
	}
	return nil
}
