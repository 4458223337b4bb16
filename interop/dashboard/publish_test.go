package dashboard_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// program returns the command, built from the root of the repository with its own dependencies.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eventhubs-dashboard-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "eventhubs")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if output, err := exec.Command("go", "-C", "../..", "build", "-o", program, "./cmd/eventhubs").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// A publication is "eventhubs publish --metrics". It sends one event at a time to partition 0, each
// on request.
type publication struct {
	command *exec.Cmd
	lines   io.WriteCloser
	said    *bufio.Reader // standard error
	metrics string        // address of the metrics

	arrived chan struct{}        // gets each try
	answer  chan emulator.Action // to each try
}

func startPublication(t *testing.T) *publication {
	t.Helper()
	p := &publication{arrived: make(chan struct{}), answer: make(chan emulator.Action)}
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: "orders", Partitions: 2}},
		Hook: func(ctx context.Context, op emulator.Operation) emulator.Action {
			if op.Kind != emulator.KindTransfer {
				return emulator.Pass()
			}
			select {
			case p.arrived <- struct{}{}:
			case <-ctx.Done():
				return emulator.Pass()
			}
			select {
			case action := <-p.answer:
				return action
			case <-ctx.Done():
				return emulator.Pass()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	// The context ends with the test. That ends the command, if it still runs.
	p.command = exec.CommandContext(t.Context(), program, "publish", "--metrics", "127.0.0.1:0", "--partition", "0", "-")
	p.command.Env = append(os.Environ(), "EVENTHUBS_CONNECTION_STRING="+server.ConnectionString("orders"))
	if p.lines, err = p.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Wait() })
	p.said = bufio.NewReader(stderr)
	line, err := p.said.ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "Metrics: ")
	if err != nil || !found {
		t.Fatalf("the command said %q, %v; want where its metrics are", line, err)
	}
	p.metrics = url
	return p
}

// end lets the command finish. Its status must be as wanted.
func (p *publication) end(t *testing.T, status int) {
	t.Helper()
	if err := p.lines.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(p.said)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait() // its error is the status
	if got := p.command.ProcessState.ExitCode(); got != status {
		t.Errorf("the command ended with status %d, want %d; it said\n%s", got, status, said)
	}
}

// next publishes an event. It scrapes while the event is in flight, before each try is answered.
// When it returns, the last answer has been sent.
func (p *publication) next(t *testing.T, h *history, actions ...emulator.Action) {
	t.Helper()
	if _, err := io.WriteString(p.lines, "an event\n"); err != nil {
		t.Fatal(err)
	}
	for _, action := range actions {
		<-p.arrived
		h.scrape(t, p.metrics)
		p.answer <- action
	}
}
