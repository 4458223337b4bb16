package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/rogpeppe/go-internal/testscript"
)

// programEnv makes the test binary the program, for tests that need a process.
// http.ProxyFromEnvironment reads the environment once in a process.
const programEnv = "EVENTHUBS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(signalledEnv) != "" {
		waitForSignal()
	}
	if os.Getenv(programEnv) != "" {
		main()
	}
	for env, run := range map[string]func() error{memoryEnv: publishFromMemory, readEnv: readOnly} {
		if os.Getenv(env) == "" {
			continue
		}
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	}
	testscript.Main(m, map[string]func(){"eventhubs": main})
}

// TestScripts runs the program as a shell does. Each file in testdata/script is for one command. In
// a script, $SERVER is the connection string of the script's own emulator. Its hubs are events:4,
// orders:2, same:4 and wide:6. $DATA has the examples' data. The functions below are commands of the
// scripts.
func TestScripts(t *testing.T) {
	data, err := filepath.Abs("../../examples/data")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}, {Name: "orders", Partitions: 2}, {Name: "same", Partitions: 4}, {Name: "wide", Partitions: 6}}})
			if err != nil {
				return err
			}
			env.Defer(func() { server.Close() })
			env.Values["server"] = server
			env.Setenv("SERVER", server.ConnectionString(""))
			env.Setenv("DATA", data)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve, "lines": writeLines, "killed": killed, "once": once, "damage": damage, "fill": fill, "copied": hubCopied},
	})
}

// writeLines writes a file of N different lines.
func writeLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "line %d %s\n", i, strings.Repeat("x", i%150))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text.String()), 0o600))
}

// killed runs a program and kills it (SIGKILL) at the emulator's N-th operation, before that one is
// answered: a question, an attach or a transfer. With "transfer" only transfers count. It fails if
// the program ends earlier.
func killed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[0] != "any" && args[0] != "transfer" {
		ts.Fatalf("usage: killed any|transfer N PROGRAM ARGUMENT...")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	command := commandOf(ts, args[2:])
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	server := ts.Value("server").(*emulator.Server)
	started := make(chan struct{})
	var operations atomic.Int64
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if (args[0] == "any" || op.Kind == emulator.KindTransfer) && operations.Add(1) == n {
			<-started
			_ = command.Process.Kill()
		}
		return emulator.Pass()
	})
	defer server.SetHook(nil)
	ts.Check(command.Start())
	close(started)
	if err := command.Wait(); err == nil || operations.Load() < n {
		ts.Fatalf("it ended (%v) after %d operations, before it was killed at %d:\n%s", err, operations.Load(), n, output.String())
	}
}

// damage changes a byte in a journal's last file, in the first block after its head that holds an
// event.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	names, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.seg"))
	ts.Check(err)
	name := names[len(names)-1]
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	ts.Check(err)
	defer file.Close()
	content, err := io.ReadAll(file)
	ts.Check(err)
	at := bytes.Index(content, []byte("line "))
	if at < 0 {
		ts.Fatalf("%s holds no event", name)
	}
	_, err = file.WriteAt([]byte("L"), int64(at))
	ts.Check(err)
}

// once fails unless each line of a file is in the hub events once, and each partition has its lines
// in the file's order.
func once(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: once FILE")
	}
	server := ts.Value("server").(*emulator.Server)
	place := map[string]int{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		place[strings.TrimSuffix(line, "\n")] = len(place)
	}
	found := 0
	for _, id := range server.PartitionIDs("events") {
		last := -1
		for e := range server.Events("events", id) {
			at, known := place[string(e.Body)]
			if !known || at <= last {
				ts.Fatalf("partition %s has %q (line %d, known: %v) after line %d", id, e.Body, at+1, known, last+1)
			}
			last = at
			found++
		}
	}
	if found != len(place) {
		ts.Fatalf("%d events are in the hub, want %d", found, len(place))
	}
}

// commandOf returns a program's command, to be started in the script's folder.
func commandOf(ts *testscript.TestScript, args []string) *exec.Cmd {
	name, err := exec.LookPath(args[0])
	ts.Check(err)
	command := exec.Command(name, args[1:]...)
	command.Dir = ts.Getenv("WORK")
	command.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("WORK"), "GORACE=atexit_sleep_ms=0"}
	for _, name := range []string{connectionEnv, fromNames.variable, toNames.variable} {
		if to := ts.Getenv(name); to != "" {
			command.Env = append(command.Env, name+"="+to)
		}
	}
	return command
}

// serve starts a program and puts its first line of output into the variable named first. At the
// script's end it interrupts the program, whose status must then be 0.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve VARIABLE PROGRAM ARGUMENT...")
	}
	command := commandOf(ts, args[1:])
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.StdoutPipe()
	ts.Check(err)
	ts.Check(command.Start())
	ts.Defer(func() {
		_ = command.Process.Signal(syscall.SIGINT)
		if err := command.Wait(); err != nil {
			ts.Logf("%s: %v\n%s", args[1], err, stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && err != io.EOF {
		ts.Check(err)
	}
	ts.Setenv(args[0], strings.TrimSuffix(line, "\n"))
}
