package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// signalledEnv makes the test binary a command that waits for a signal.
const signalledEnv = "EVENTHUBS_TEST_SIGNALLED"

// exitSignalled is that command's status.
const exitSignalled = 42

// waitForSignal prints a line, waits for a signal, and prints its name.
func waitForSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	fmt.Println("waits")
	fmt.Println(<-signals)
	os.Exit(exitSignalled)
}

func TestSignalsGoToTheCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows sends Ctrl-C to every process of a console by itself")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sent := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		emulator := exec.CommandContext(t.Context(), self, "emulator", "--", "env", signalledEnv+"=1", self)
		emulator.Env = append(os.Environ(), programEnv+"=1")
		var stderr bytes.Buffer
		emulator.Stderr = &stderr
		stdout, err := emulator.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := emulator.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		if line, err := lines.ReadString('\n'); line != "waits\n" {
			t.Fatalf("the command printed %q, %v; standard error: %s", line, err, stderr.String())
		}
		if err := emulator.Process.Signal(sent); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(lines)
		if want := sent.String() + "\n"; string(rest) != want || err != nil {
			t.Errorf("after %v the command printed %q, %v, want %q", sent, rest, err, want)
		}
		_ = emulator.Wait()
		if got := emulator.ProcessState.ExitCode(); got != exitSignalled || stderr.Len() > 0 {
			t.Errorf("after %v: status %d, want %d; standard error: %s", sent, got, exitSignalled, stderr.String())
		}
	}
}

func TestWithoutACommandNothingIsRun(t *testing.T) {
	program{}.run(t, "emulator", "--").want(t, exitBadInput, `no command comes after "--"`)
	program{}.run(t, "emulator", "npm", "test").want(t, exitBadInput, `unexpected argument "npm"; a command to run comes after "--"`)
	program{}.run(t, "emulator", "--", "no-such-program").want(t, exitNotFound, `the command after "--" was not found`, `"no-such-program"`)
	program{}.run(t, "emulator", "--", t.TempDir()).want(t, exitNotExecutable, `the command after "--" cannot be run`)
}

func TestTheCommandFindsTheEmulatorInItsEnvironment(t *testing.T) {
	const plain = `Endpoint=sb://127\.0\.0\.1:\d+;SharedAccessKeyName=\w+;SharedAccessKey=\w+;UseDevelopmentEmulator=true`
	for _, test := range []struct {
		args []string
		want string // a pattern for the variables, one a line
	}{
		{nil, plain + "\nevents\n\n\n\n"},
		{[]string{"--hub", "a:1", "--health", ":0"}, plain + "\na\n\n\n\n"},
		{[]string{"--hub", "a:1", "--hub", "b:1"}, plain + "\n\n\n\n\n"},
		{[]string{"--http", ":0"}, plain + `\nevents\nhttp://127\.0\.0\.1:\d+\n\n\n`},
		{[]string{"--http", "0.0.0.0:0"}, plain + `\nevents\nhttp://127\.0\.0\.1:\d+\n\n\n`},
		{[]string{"--tls"}, strings.TrimSuffix(plain, ";UseDevelopmentEmulator=true") + `\nevents\n\n/\S+\.pem\n/\S+\.pem\n`},
		{[]string{"--tls", "--tls-ca", "ca.pem"}, strings.TrimSuffix(plain, ";UseDevelopmentEmulator=true") + `\nevents\n\n/\S+/ca\.pem\n/\S+/ca\.pem\n`},
	} {
		t.Chdir(t.TempDir())
		names := []string{connectionEnv, hubEnv, pageEnv, "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"}
		for _, name := range names {
			t.Setenv(name, "")
		}
		script := `echo "$` + strings.Join(names, "\"\necho \"$") + `"`
		r := program{}.run(t, append(append([]string{"emulator"}, test.args...), "--", "sh", "-c", script)...)
		if matched, err := regexp.MatchString("^"+test.want+"$", r.stdout); !matched || err != nil || r.status != exitOK {
			t.Errorf("%v: status %d, %v; %v are\n%s\nwant\n%s\nstandard error: %s", test.args, r.status, err, names, r.stdout, test.want, r.stderr)
		}
	}
}
