package main

import (
	"bytes"
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

// memoryEnv makes the test binary publish the lines of that file from memory, benchRepeat times. It
// is the measure for BenchmarkPublishOfLines. A minus sign before the name asks for a handler that
// keeps the batches. readEnv makes the binary only read the file, as often.
const (
	memoryEnv   = "EVENTHUBS_TEST_MEMORY"
	readEnv     = "EVENTHUBS_TEST_READ"
	benchRepeat = 20
)

// lineOf returns a line of 1 KB, without its end.
func lineOf(i int) string {
	head := fmt.Sprintf(`{"id":%d,"text":"`, i)
	return head + strings.Repeat("x", 1024-len(head)-2) + `"}`
}

// publishFromMemory publishes as a program does that has its events in memory.
func publishFromMemory() error {
	name, handled := strings.CutPrefix(os.Getenv(memoryEnv), "-")
	options := &eventhubs.Options{}
	if handled {
		options.OnBatchSucceeded = func(context.Context, *eventhubs.Batch) {}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	bodies := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(os.Getenv(connectionEnv), "events", options)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var event eventhubs.Event
	for range benchRepeat {
		for _, event.Body = range bodies {
			if err := producer.Enqueue(ctx, &event); err != nil {
				return err
			}
		}
	}
	return producer.Close(ctx)
}

// readOnly reads a file benchRepeat times, in pieces of publish's size.
func readOnly() error {
	buffer := make([]byte, lineBuffer)
	for range benchRepeat {
		file, err := os.Open(os.Getenv(readEnv))
		for err == nil {
			_, err = file.Read(buffer)
		}
		if err != io.EOF {
			return err
		}
		_ = file.Close()
	}
	return nil
}

// BenchmarkPublishOfLines compares publish with the producer, for the same lines of 1 KB. The ratio
// is the processor's time for a line in memory, divided by that for a line of a file. They take
// turns, each as a process of its own, so that a busy machine and the emulator count for neither.
// The second ratio leaves out the time that reading the file takes alone. The third is to a producer
// whose handler keeps the batches. The last includes the check before publishing.
//
//	go test -run none -bench PublishOfLines ./cmd/eventhubs
func BenchmarkPublishOfLines(b *testing.B) {
	const lines = 50_000
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
	var fromMemory, handled, published, checked, read time.Duration
	for b.Loop() {
		fromMemory += run(memoryEnv + "=" + name)
		published += run(programEnv+"=1", "publish", "--no-check", "--repeat", strconv.Itoa(benchRepeat), name)
		read += run(readEnv + "=" + name)
		handled += run(memoryEnv + "=-" + name)
		checked += run(programEnv+"=1", "publish", "--repeat", strconv.Itoa(benchRepeat), name)
	}
	perEvent := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N*lines*benchRepeat) }
	b.ReportMetric(perEvent(published), "cpu-ns/line")
	b.ReportMetric(perEvent(fromMemory), "cpu-ns/event-from-memory")
	b.ReportMetric(perEvent(read), "cpu-ns/line-read")
	b.ReportMetric(perEvent(fromMemory)/perEvent(published), "ratio")
	b.ReportMetric(perEvent(fromMemory)/perEvent(published-read), "ratio-without-reading")
	b.ReportMetric(perEvent(handled)/perEvent(published), "ratio-to-kept")
	b.ReportMetric(perEvent(fromMemory)/perEvent(checked), "ratio-with-check")
}
