package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// memoryEnv makes the test binary publish that many events of 1 KB from memory, as the measure for
// BenchmarkPublishOfLines. A minus sign before the number asks for a handler of successes.
const memoryEnv = "EVENTHUBS_TEST_MEMORY"

// lineOf returns a line of 1 KB, without its end.
func lineOf(i int) string {
	head := fmt.Sprintf(`{"id":%d,"text":"`, i)
	return head + strings.Repeat("x", 1024-len(head)-2) + `"}`
}

// publishFromMemory publishes as a program does that has its events in memory.
func publishFromMemory() error {
	events, err := strconv.Atoi(os.Getenv(memoryEnv))
	if err != nil {
		return err
	}
	options := &eventhubs.Options{}
	if events < 0 {
		events, options.OnBatchSucceeded = -events, func(context.Context, *eventhubs.Batch) {}
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(os.Getenv(connectionEnv), "events", options)
	if err != nil {
		return err
	}
	bodies := make([][]byte, 1000)
	for i := range bodies {
		bodies[i] = []byte(lineOf(i))
	}
	ctx := context.Background()
	var event eventhubs.Event
	for i := range events {
		event.Body = bodies[i%len(bodies)]
		if err := producer.Enqueue(ctx, &event); err != nil {
			return err
		}
	}
	return producer.Close(ctx)
}

// BenchmarkPublishOfLines compares publish with the producer: the processor's time for an event of
// 1 KB from memory, divided by that for a line of a file. The two take turns, each as a process of
// its own, so that a busy machine and the emulator count for neither. The producer's memory of a
// batch is not used again if a handler may keep the batch, as the one of publish may. So a second
// ratio is to a producer with a handler.
//
//	go test -run none -bench PublishOfLines ./cmd/eventhubs
func BenchmarkPublishOfLines(b *testing.B) {
	const lines, repeat = 50_000, 10
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, Discard: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	name := filepath.Join(b.TempDir(), "lines")
	var text strings.Builder
	for i := range lines {
		text.WriteString(lineOf(i) + "\n")
	}
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(env string, args ...string) time.Duration {
		command := exec.Command(os.Args[0], args...)
		command.Env = append(command.Environ(), env, connectionEnv+"="+server.ConnectionString("events"))
		command.Stdout, command.Stderr = io.Discard, b.Output()
		if err := command.Run(); err != nil {
			b.Fatal(err)
		}
		return command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	}
	var fromMemory, handled, published, checked time.Duration
	for b.Loop() {
		fromMemory += run(memoryEnv + "=" + strconv.Itoa(lines*repeat))
		handled += run(memoryEnv + "=-" + strconv.Itoa(lines*repeat))
		published += run(programEnv+"=1", "publish", "--no-check", "--repeat", strconv.Itoa(repeat), name)
		checked += run(programEnv+"=1", "publish", "--repeat", strconv.Itoa(repeat), name)
	}
	perEvent := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N*lines*repeat) }
	b.ReportMetric(perEvent(published), "cpu-ns/line")
	b.ReportMetric(perEvent(fromMemory), "cpu-ns/event-from-memory")
	b.ReportMetric(perEvent(fromMemory)/perEvent(published), "ratio")
	b.ReportMetric(perEvent(handled)/perEvent(published), "ratio-to-handled")
	b.ReportMetric(perEvent(fromMemory)/perEvent(checked), "ratio-with-check")
}
