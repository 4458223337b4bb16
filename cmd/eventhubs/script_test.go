package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/rogpeppe/go-internal/testscript"
)

// programEnv makes the test binary the program, for tests that need a process.
// http.ProxyFromEnvironment reads the environment once in a process.
const programEnv = "EVENTHUBS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"eventhubs": main})
}

// TestScripts runs the program as a shell does. Each file in testdata/script is for one command. In
// a script, $SERVER is the connection string of the script's own emulator with the hubs events:4
// and orders:2. $DATA has the examples' data. "serve" starts a command that serves until the
// script's end.
func TestScripts(t *testing.T) {
	data, err := filepath.Abs("../../examples/data")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}, {Name: "orders", Partitions: 2}}})
			if err != nil {
				return err
			}
			env.Defer(func() { server.Close() })
			env.Setenv("SERVER", server.ConnectionString(""))
			env.Setenv("DATA", data)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve},
	})
}

// serve starts a program and puts its first line of output into the variable named first. At the
// script's end it interrupts the program, whose status must then be 0.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve VARIABLE PROGRAM ARGUMENT...")
	}
	name, err := exec.LookPath(args[1])
	ts.Check(err)
	command := exec.Command(name, args[2:]...)
	command.Dir = ts.Getenv("WORK")
	command.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("WORK"), "GORACE=atexit_sleep_ms=0"}
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
