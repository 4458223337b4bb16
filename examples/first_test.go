//go:build unix

package examples_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// buildFirst builds the README's program.
func buildFirst(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "first")
	if text, err := exec.Command("go", "build", "-o", program, "./first/publish").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return program
}

// telemetryServer starts an emulator with the program's hub. It verifies tokens.
func telemetryServer(t *testing.T, hub string) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: hub, Partitions: 4}}, Authentication: &emulator.Authentication{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// A screen is the program's visible output.
type screen struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func startFirst(t *testing.T, ctx context.Context, program, connectionString string) (*exec.Cmd, *screen) {
	t.Helper()
	command, seen := exec.CommandContext(ctx, program), new(screen)
	command.Env = append(os.Environ(), "EVENTHUBS_CONNECTION_STRING="+connectionString)
	command.Stderr = seen
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, seen
}

// closedPort returns an address without a listener. It is a client's, whose port no listener gets
// meanwhile.
func closedPort(t *testing.T, server *emulator.Server) string {
	t.Helper()
	client, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.LocalAddr().String()
}

// The README's program, unchanged and in its own process, must report a wrong setting within two
// seconds, and end.
func TestTheFirstProgramSaysWithinTwoSecondsWhatIsWrong(t *testing.T) {
	program := buildFirst(t)
	server, other := telemetryServer(t, "telemetry"), telemetryServer(t, "orders")
	right := server.ConnectionString("telemetry")
	for _, c := range []struct {
		name, connectionString string
		says                   []string
	}{
		{"wrong hub", strings.Replace(other.ConnectionString("orders"), ";EntityPath=orders", "", 1), []string{"amqp:not-found", "there is no such event hub in this namespace"}},
		{"wrong key", regexp.MustCompile(`SharedAccessKey=[^;]*`).ReplaceAllString(right, "SharedAccessKey=d3Jvbmc="), []string{"InvalidSignature", "the key is wrong"}},
		{"no server", strings.Replace(right, server.Addr(), closedPort(t, server), 1), []string{"connection refused", "nothing listens at that port"}},
		{"no connection string", "", []string{"the connection string is empty"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			began := time.Now()
			command, seen := startFirst(t, ctx, program, c.connectionString)
			err := command.Wait()
			took := time.Since(began)
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || took > 2*time.Second {
				t.Errorf("the program ended with %v after %v, want status 1 within 2 s", err, took)
			}
			for _, want := range c.says {
				if !strings.Contains(seen.String(), want) {
					t.Errorf("the program says\n%swant %q", seen, want)
				}
			}
		})
	}
}

// With right settings it publishes until it is interrupted, loses nothing, and prints nothing.
func TestTheFirstProgramStoresEveryReading(t *testing.T) {
	program, server := buildFirst(t), telemetryServer(t, "telemetry")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command, seen := startFirst(t, ctx, program, server.ConnectionString("telemetry"))
	if err := server.WaitForEvents(ctx, "telemetry", 50); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil || seen.String() != "" {
		t.Errorf("the program ended with %v and said\n%s", err, seen)
	}
}

// The first samples in the README and in the manual are this program, to the letter.
func TestTheFirstSamplesAreTheFirstProgram(t *testing.T) {
	text, err := os.ReadFile("first/publish/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "\n)\n\n") // after the imports
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(readme), "```go\n")
	if sample, _, _ = strings.Cut(sample, "```"); sample != program {
		t.Errorf("the README's first sample is\n%s\nwant\n%s", sample, program)
	}
	manual, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var commented strings.Builder
	for line := range strings.Lines(program) {
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			commented.WriteString("//\n")
		} else {
			commented.WriteString("//\t" + line + "\n")
		}
	}
	_, sample, _ = strings.Cut(string(manual), "//\tfunc main() {\n")
	if sample, _, _ = strings.Cut(sample, "//\n// "); "//\tfunc main() {\n"+sample != commented.String() {
		t.Errorf("the manual's first sample is\n//\tfunc main() {\n%s\nwant\n%s", sample, commented.String())
	}
}
