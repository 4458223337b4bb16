package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A missing secret leaves its variable set and empty. Then the command published into its own
// emulator, reported success, and lost everything.
func TestAVariableThatIsSetAndEmptyIsRefused(t *testing.T) {
	file := writeFile(t, "a\n")
	for name, value := range map[string]string{"empty": "", "a space": " ", "a line": "\r\n", "a byte order mark": "\ufeff", "no-break space": "\u00a0"} {
		t.Run(name, func(t *testing.T) {
			p := program{env: map[string]string{connectionEnv: value}}
			for _, args := range [][]string{
				{"publish", file}, {"publish", "--hub", "orders", "--output", "json", "-"}, {"publish", "--tls-ca", file, file},
				{"tail"}, {"check"}, {"check", "--hub", "orders", "--send"},
			} {
				got := p.run(t, args...)
				got.want(t, exitBadInput, connectionEnv+" is set and empty", "give it a connection string", "unset "+connectionEnv)
				if got.stdout != "" {
					t.Errorf("%q: standard output: got %q want nothing", args, got.stdout)
				}
			}
			// A command line that names a hub does not mean the variable.
			server := startServer(t)
			p.run(t, "publish", "--connection-string", server.ConnectionString(""), file).want(t, exitOK)
			wantStored(t, server, "a")
			p.run(t, "tail", "--namespace", "name.example", "--hub", "orders").want(t, exitBadInput, "no Azure credential")
			// These commands do not use it.
			p.run(t, "plan", "--events-per-second", "1", "--bytes", "1").want(t, exitOK)
			p.run(t, "version").want(t, exitOK)
		})
	}
}

// This runs the program as a shell starts it.
func TestPublishingWithAnEmptyVariableIsNoSuccess(t *testing.T) {
	for _, value := range []string{"", " "} {
		command := exec.Command(os.Args[0], "publish", "--hub", "orders", "--output", "json", "-")
		command.Env = append(command.Environ(), programEnv+"=1", connectionEnv+"="+value)
		command.Stdin = strings.NewReader(`{"order":1}` + "\n")
		out, err := command.CombinedOutput()
		if err == nil || command.ProcessState.ExitCode() != exitBadInput {
			t.Errorf("status: got %v want %d\n%s", command.ProcessState, exitBadInput, out)
		}
		if strings.Contains(string(out), "verified") {
			t.Errorf("it has published somewhere:\n%s", out)
		}
	}
}
