package suites

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

const (
	azeventhubs        = "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	azeventhubsVersion = "2.0.2"
	goAMQP             = "github.com/Azure/go-amqp"
	goAMQPVersion      = "1.7.0"
)

var goSuite = &suite{
	name: "go", title: "Go azeventhubs", version: azeventhubsVersion, tests: "all of the module",
	prepare: prepareGo("go-suite", azeventhubs, "v"+azeventhubsVersion), run: runGo,
}

var goAMQPSuite = &suite{
	name: "go-amqp", title: "Go go-amqp", version: goAMQPVersion, tests: "its integration tests, with a broker of queues over this project's `internal/amqp`",
	prepare: prepareGo("go-amqp-suite", goAMQP, "v"+goAMQPVersion), run: runGoAMQP,
}

// prepareGo takes a module, which contains its tests, and compiles them.
func prepareGo(name, module, version string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		dir, err := setup.CacheDirectory(name + "-" + version)
		if err != nil {
			return "", err
		}
		suite := filepath.Join(dir, "suite")
		if _, err := os.Stat(filepath.Join(suite, "complete")); err == nil {
			return suite, nil
		}
		if err := os.RemoveAll(suite); err != nil {
			return "", err
		}
		command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
		command.Dir = dir
		output, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("go mod download %s@%s: %w\n%s", module, version, err, output)
		}
		var downloaded struct{ Dir string }
		if err := json.Unmarshal(output, &downloaded); err != nil {
			return "", err
		}
		if err := os.CopyFS(suite, os.DirFS(downloaded.Dir)); err != nil {
			return "", err
		}
		if err := setup.Command(ctx, suite, "go", "test", "-run", "^$", "./..."); err != nil {
			return "", err
		}
		return suite, os.WriteFile(filepath.Join(suite, "complete"), nil, 0o644)
	}
}

func runGo(ctx context.Context, w *world, dir string, log io.Writer) ([]test, error) {
	return goTest(ctx, dir, append(w.environment(),
		"EVENTHUB_LINKSONLY_NAME="+hubOther,
		"EVENTHUB_CONNECTION_STRING_LISTEN_ONLY="+connectionString(listenKey),
		"EVENTHUB_CONNECTION_STRING_SEND_ONLY="+connectionString(sendKey),
		"CHECKPOINTSTORE_STORAGE_ENDPOINT=https://"+storageHost+"/",
	), log, "./...")
}

func runGoAMQP(ctx context.Context, _ *world, dir string, log io.Writer) ([]test, error) {
	const address = hubAddress + ":5672"
	broker, err := newQueues(address)
	if err != nil {
		return nil, err
	}
	defer broker.close()
	// Only these tests use a broker.
	const names = "^(TestIntegration|TestDialWith|TestNewSessionWith|TestMultipleSessions|TestConcurrentSessions|TestReceiverModeFirst$|TestSenderExactlyOnce$|TestReceivingLotsOf|TestNewReceiverWithCancelled|TestMultipleSenders|TestDrainingLink$|TestSenderNullValue$)"
	return goTest(ctx, dir, []string{"AMQP_BROKER_ADDR=amqp://" + address}, log, "-run", names, ".")
}

// goTest runs tests and returns those of the highest level.
func goTest(ctx context.Context, dir string, environment []string, log io.Writer, arguments ...string) ([]test, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1", "-p=1", "-timeout=30m"}, arguments...)...)
	command.Dir = dir
	command.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off"), environment...)
	printed, err := output(command, log)
	tests := make(map[string]*goResult)
	decoder := json.NewDecoder(bytes.NewReader(printed))
	for decoder.More() {
		var event struct{ Action, Package, Test string }
		if err := decoder.Decode(&event); err != nil {
			return nil, fmt.Errorf("go test printed no JSON: %w", err)
		}
		if event.Test == "" {
			continue
		}
		test, part, _ := strings.Cut(event.Test, "/")
		name := filepath.Base(event.Package) + "." + test
		if tests[name] == nil {
			tests[name] = new(goResult)
		}
		tests[name].take(event.Action, part != "")
	}
	all := make(map[string]outcome)
	for name, r := range tests {
		all[name] = r.outcome()
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no test was run: %w", err)
	}
	return sorted(all), nil
}

// A goResult is what came of a test and its parts.
type goResult struct {
	action         string // the last one
	parts, skipped int
}

func (r *goResult) take(action string, part bool) {
	switch {
	case !part:
		r.action = action
	case action == "skip":
		r.skipped++
		r.parts++
	case action == "pass" || action == "fail":
		r.parts++
	}
}

// outcome is skipped if all the parts were. A test that did not end has failed.
func (r *goResult) outcome() outcome {
	switch {
	case r.action == "skip" || r.action == "pass" && r.parts > 0 && r.parts == r.skipped:
		return skipped
	case r.action == "pass":
		return passed
	default:
		return failed
	}
}
