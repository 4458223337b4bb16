package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// recipe matches a row of the table of recipes with a command.
var recipe = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `((?:[^`|]|\\\\\\|)+)` \\|$")

// TestTheRecipesWork runs each recipe of the document in a shell. A recipe that follows a hub gets
// an end. DuckDB's output is a file of this test.
func TestTheRecipesWork(t *testing.T) {
	text, err := os.ReadFile("../../" + cliDocument)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Recipes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	folder := recipeFolder(t)
	want := map[string]string{ // part of the output
		"see the newest events":                       "order 9",
		"replay an hour into another hub":             "Verified: ",
		"replay only some of its events":              "total  ",
		"follow one device of IoT Hub":                "from the device",
		"follow one key":                              "customer-7",
		"find a large order":                          `"total": 1200`,
		"see the event that a consumer fails at":      `"sequenceNumber": 41`,
		"find the first event that is not valid AMQP": "the event with sequence number 43 ",
		"find what is not JSON":                       "from the device",
		"count what a hub has":                        "53\n",
		"print keys and bodies":                       "customer-0\t{",
		"publish the rows of a CSV file":              "2 events",
		"publish the rows of a Parquet file":          "2 events",
	}
	found := 0
	for _, m := range recipe.FindAllStringSubmatch(section, -1) {
		name, command := m[1], strings.ReplaceAll(m[2], `\|`, "|")
		part, known := want[name]
		if !known {
			t.Errorf("the recipe %q has no expectation in this test", name)
			continue
		}
		found++
		t.Run(name, func(t *testing.T) {
			server := recipeServer(t)
			switch {
			case !strings.HasPrefix(command, "eventhubs tail"), strings.Contains(command, "--until"), strings.Contains(command, "--count"):
			case strings.Contains(command, " -n "):
				command += " --until end"
			default:
				command += " --partition 3 --from start --count 1"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			shell := exec.CommandContext(ctx, "bash", "-c", command)
			shell.Dir = folder
			shell.Env = []string{"PATH=" + folder + ":" + os.Getenv("PATH"), "HOME=" + folder, "GORACE=atexit_sleep_ms=0"}
			for _, variable := range []string{connectionEnv, fromNames.variable, toNames.variable} {
				shell.Env = append(shell.Env, variable+"="+server.ConnectionString(""))
			}
			got, err := shell.CombinedOutput()
			if !strings.Contains(string(got), part) {
				t.Errorf("%s\nprinted (%v)\n%.2000s\nwant %q in it", command, err, got, part)
			}
		})
	}
	if found != len(want) {
		t.Errorf("%d recipes were found, want %d", found, len(want))
	}
}

// recipeServer starts an emulator with events for every recipe, in partition 3 of the hub events and
// in the hub orders.
func recipeServer(t *testing.T) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}, {Name: "orders", Partitions: 2}, {Name: "replay", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for i := range 42 {
		total := i
		if i == 30 {
			total = 1200
		}
		if err := server.Seed("events", "3", emulator.Event{PartitionKey: fmt.Sprintf("customer-%d", i%10), Body: fmt.Appendf(nil, `{"total":%d}`, total), EnqueuedTime: time.Now().Add(-90 * time.Minute), Properties: map[string]any{"source": "shop"}}); err != nil {
			t.Fatal(err)
		}
	}
	device := amqp.Map{{Key: amqp.Symbol("iothub-connection-device-id"), Value: "device-7"}}
	send(t, server, "3", amqp.Message{Annotations: device, Data: [][]byte{[]byte("from the device")}})
	sendEncoded(t, server, "3", "\x00\x53\x74\xc1\x05\x02\xa1\x01p\x9f")
	for i := range 10 {
		if err := server.Seed("events", "0", emulator.Event{Body: fmt.Append(nil, "order ", i)}); err != nil {
			t.Fatal(err)
		}
		if err := server.Seed("orders", "1", emulator.Event{Body: fmt.Append(nil, "order ", i), EnqueuedTime: time.Now().Add(-90 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// recipeFolder makes a folder with the program, its input files and what stands for DuckDB.
func recipeFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"eventhubs":   "#!/bin/sh\n" + programEnv + "=1 exec " + program + ` "$@"` + "\n",
		"duckdb":      "#!/bin/sh\ncat rows.ndjson\n",
		"rows.ndjson": `{"id":0,"customer":"customer 0","total":0.0,"at":"2026-11-30 11:47:30.203145+00"}` + "\n" + `{"id":1,"customer":"customer 1","total":1.5,"at":"2026-11-30 11:47:30.203145+00"}` + "\n",
		"orders.csv":  "id,customer\n1,a\n2,b\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
