//go:build linux

// Command consume compares eventhubs tail with kcat: each prints the same JSON lines from a server
// in memory. It is run by hand:
//
//	go -C bench run ./consume
//
// The servers, the emulator and kfake, share a process. The readers are processes of their own, and
// take turns. Their processor time leaves the servers out, their events per second do not.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	name       = "events" // of hub and topic
	partitions = 4
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	events := flag.Int("events", 200_000, "events to read in each turn")
	size := flag.Int("size", 1000, "bytes of a line")
	turns := flag.Int("turns", 5, "turns of each reader")
	serving := flag.Bool("serve", false, "be the servers, until the end of standard input; the command starts itself so")
	flag.Parse()
	err := error(nil)
	if *serving {
		err = serve(ctx, *events, *size)
	} else {
		err = run(ctx, *events, *size, *turns, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

// A reader is a command that prints all events.
type reader struct {
	title   string
	command []string
	turns   []turn
}

// A turn is what one run of a reader took.
type turn struct {
	wall, cpu time.Duration
	memory    int64 // bytes, at most
}

func run(ctx context.Context, events, size, turns int, out io.Writer) error {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		return fmt.Errorf("%w: install Debian's package kcat", err)
	}
	directory, err := os.MkdirTemp("", "consume")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	tail, err := build(ctx, directory)
	if err != nil {
		return err
	}
	addresses, end, err := startServers(ctx, events, size)
	if err != nil {
		return err
	}
	defer end()
	count, broker := strconv.Itoa(events), addresses.Broker
	readers := []*reader{
		{title: "`eventhubs tail --output json`", command: []string{tail, "tail", "--hub", name, "--from", "start", "--count", count, "--output", "json"}},
		{title: "`eventhubs tail`", command: []string{tail, "tail", "--hub", name, "--from", "start", "--count", count}},
		{title: "`kcat -C -J`", command: []string{kcat, "-b", broker, "-C", "-t", name, "-o", "beginning", "-e", "-q", "-J"}},
		{title: "`kcat -C`", command: []string{kcat, "-b", broker, "-C", "-t", name, "-o", "beginning", "-e", "-q"}},
	}
	environment := append(os.Environ(), "EVENTHUBS_CONNECTION_STRING="+addresses.ConnectionString)
	for range turns {
		for _, r := range readers {
			t, err := r.read(ctx, environment, events)
			if err != nil {
				return err
			}
			r.turns = append(r.turns, t)
		}
	}
	return report(out, readers, events)
}

// addresses are where the servers are.
type addresses struct{ ConnectionString, Broker string }

// serve runs both servers, and writes their addresses to standard output.
func serve(ctx context.Context, events, size int) error {
	server, err := startEmulator(events, size)
	if err != nil {
		return err
	}
	defer server.Close()
	cluster, err := startKafka(ctx, events, size)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if err := json.NewEncoder(os.Stdout).Encode(addresses{server.ConnectionString(""), cluster.ListenAddrs()[0]}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startServers starts the servers in a process of their own. The system counts the memory of the
// process that starts a reader as the reader's, so that process must be small.
func startServers(ctx context.Context, events, size int) (at addresses, end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return at, nil, err
	}
	command := exec.CommandContext(ctx, program, "-serve", "-events", strconv.Itoa(events), "-size", strconv.Itoa(size))
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return at, nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return at, nil, err
	}
	if err := command.Start(); err != nil {
		return at, nil, err
	}
	end = func() {
		stdin.Close()
		_ = command.Wait() // the readers have what they needed
	}
	if err := json.NewDecoder(stdout).Decode(&at); err != nil {
		end()
		return at, nil, fmt.Errorf("the servers did not start: %w", err)
	}
	return at, end, nil
}

// build builds the command eventhubs of this checkout.
func build(ctx context.Context, directory string) (string, error) {
	const module = "github.com/go-eventhubs/eventhubs"
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", module, err)
	}
	program := filepath.Join(directory, "eventhubs")
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/eventhubs")
	command.Dir, command.Stderr = strings.TrimSpace(string(root)), os.Stderr
	return program, command.Run()
}

// line returns the i-th line.
func line(i, size int) []byte {
	head := fmt.Sprintf(`{"device":"sensor-%d","sequence":%d,"note":"`, i%100, i)
	return append(append([]byte(head), bytes.Repeat([]byte("abc def "), size/8+1)[:max(0, size-len(head)-2)]...), `"}`...)
}

func startEmulator(events, size int) (*emulator.Server, error) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: name, Partitions: partitions}}})
	if err != nil {
		return nil, err
	}
	for i := range events {
		if err := server.Seed(name, strconv.Itoa(i%partitions), emulator.Event{Body: line(i, size)}); err != nil {
			return nil, err
		}
	}
	return server, nil
}

func startKafka(ctx context.Context, events, size int) (*kfake.Cluster, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, name))
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	failed := make(chan error, events)
	for i := range events {
		client.Produce(ctx, &kgo.Record{Value: line(i, size), Partition: int32(i % partitions)}, func(_ *kgo.Record, err error) { failed <- err })
	}
	for range events {
		err = cmp.Or(err, <-failed)
	}
	return cluster, err
}

// A lineCounter counts the lines that are written to it.
type lineCounter struct{ lines int }

func (c *lineCounter) Write(b []byte) (int, error) {
	c.lines += bytes.Count(b, []byte("\n"))
	return len(b), nil
}

// read runs the reader once. It checks that each event was printed.
func (r *reader) read(ctx context.Context, environment []string, events int) (turn, error) {
	var printed lineCounter
	var messages bytes.Buffer
	command := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	command.Env, command.Stdout, command.Stderr = environment, &printed, &messages
	began := time.Now()
	if err := command.Run(); err != nil {
		return turn{}, fmt.Errorf("%s: %w: %s", r.title, err, messages.String())
	}
	t := turn{wall: time.Since(began), cpu: command.ProcessState.UserTime() + command.ProcessState.SystemTime()}
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.memory = int64(usage.Maxrss) << 10 // Linux counts KiB
	}
	if printed.lines != events {
		return t, fmt.Errorf("%s printed %d lines, want %d", r.title, printed.lines, events)
	}
	return t, nil
}

// report prints the median of each figure.
func report(out io.Writer, readers []*reader, events int) error {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| reader\t| events/s\t| client CPU per event\t| memory at most\t|")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---\t|")
	for _, r := range readers {
		wall := median(r.turns, func(t turn) time.Duration { return t.wall })
		cpu := median(r.turns, func(t turn) time.Duration { return t.cpu })
		memory := median(r.turns, func(t turn) int64 { return t.memory })
		fmt.Fprintf(table, "| %s\t| %.0f\t| %.1f µs\t| %d MB\t|\n", r.title, float64(events)/wall.Seconds(), float64(cpu.Microseconds())/float64(events), memory/1e6)
	}
	return table.Flush()
}

func median[T cmp.Ordered](turns []turn, of func(turn) T) T {
	all := make([]T, len(turns))
	for i, t := range turns {
		all[i] = of(t)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
