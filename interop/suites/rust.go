package suites

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

var rustSuite = &suite{
	name: "rust", title: "Rust azure_messaging_eventhubs", version: "0.16.0",
	tests: "its integration tests", prepare: prepareRust, run: runRust,
}

// prepareRust takes the crate, which contains its tests, from its registry. The tests use a crate
// of helpers that is published for another version only, so a small one takes its place. The build
// goes on where an interrupted one was.
func prepareRust(ctx context.Context) (string, error) {
	folder := filepath.Join("suites", "rust")
	files := []string{"Cargo.toml", "Cargo.lock", "azure_core_test/Cargo.toml", "azure_core_test/lib.rs", "azure_core_test/macros/Cargo.toml", "azure_core_test/macros/lib.rs"}
	return setup.Install("rust-suite", folder, files, func(dir string) error {
		if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "empty", "lib.rs"), nil, 0o644); err != nil {
			return err
		}
		if err := setup.LockCargo(ctx, dir); err != nil {
			return err
		}
		source, err := crate(ctx, dir, "azure_messaging_eventhubs")
		if err != nil {
			return err
		}
		suite := filepath.Join(dir, "suite")
		if err := os.RemoveAll(suite); err != nil {
			return err
		}
		if err := os.CopyFS(suite, os.DirFS(source)); err != nil {
			return err
		}
		manifest, err := os.OpenFile(filepath.Join(suite, "Cargo.toml"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = manifest.WriteString("\n[dev-dependencies.azure_core_test]\npath = \"../azure_core_test\"\n\n[workspace]\n")
		if closed := manifest.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		// With a later version fe2o3-amqp 0.16.2 does not compile.
		if err := setup.Command(ctx, suite, "cargo", "update", "--package", "tokio-util", "--precise", "0.7.18"); err != nil {
			return err
		}
		return setup.Command(ctx, suite, "cargo", "test", "--no-run", "--quiet", "--test", "eventhubs_*", "--target-dir", "../target", "--features", "in_memory_checkpoint_store")
	})
}

// crate returns where Cargo has unpacked a dependency of the package in dir.
func crate(ctx context.Context, dir, name string) (string, error) {
	command := exec.CommandContext(ctx, "cargo", "metadata", "--locked", "--format-version", "1")
	command.Dir = dir
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("cargo metadata: %w", err)
	}
	var metadata struct {
		Packages []struct {
			Name         string
			ManifestPath string `json:"manifest_path"`
		}
	}
	if err := json.Unmarshal(output, &metadata); err != nil {
		return "", err
	}
	for _, p := range metadata.Packages {
		if p.Name == name {
			return filepath.Dir(p.ManifestPath), nil
		}
	}
	return "", fmt.Errorf("cargo metadata does not name %s: %w", name, fs.ErrNotExist)
}

// rustDelay is how late the emulator does everything. The client loses an outcome that comes before
// it has noted the delivery, and then waits without end. The service takes longer than that.
const rustDelay = 5 * time.Millisecond

// runRust runs each file of tests, with the tests one after the other.
func runRust(ctx context.Context, w *world, dir string, log io.Writer) ([]test, error) {
	w.server.SetHook(func(context.Context, emulator.Operation) emulator.Action { return emulator.Pass().After(rustDelay) })
	defer w.server.SetHook(nil)
	names, err := filepath.Glob(filepath.Join(dir, "suite", "tests", "eventhubs_*.rs"))
	if err != nil {
		return nil, err
	}
	var all []test
	for _, name := range names {
		target := strings.TrimSuffix(filepath.Base(name), ".rs")
		// The program timeout also ends the tests, which are cargo's children.
		command := exec.CommandContext(ctx, "timeout", rustLimit, "cargo", "test", "--offline", "--quiet", "--target-dir", "../target", "--features", "in_memory_checkpoint_store", "--test", target, "--", "--test-threads=1", "--format=pretty")
		command.Dir = filepath.Join(dir, "suite")
		command.Env = append(os.Environ(), w.environment()...)
		command.Env = append(command.Env, "EVENTHUBS_HOST="+hubHost, "EVENTHUBS_CONNECTION_STRING="+connectionString(keyName), "RUST_LOG=error")
		output, err := output(command, log)
		found := rustTests(target, output)
		if len(found) == 0 {
			return nil, fmt.Errorf("%s ran no test: %w\n%.2000s", target, err, output)
		}
		all = append(all, found...)
	}
	return all, nil
}

// rustLimit is for the tests of one file. A test that hangs ends them.
const rustLimit = "10m"

var rustLine = regexp.MustCompile(`(?m)^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored|$)`)

// rustTests reads the lines of cargo test. A test without an outcome has not ended: it has failed.
func rustTests(target string, output []byte) (all []test) {
	outcomes := map[string]outcome{"ok": passed, "FAILED": failed, "": failed, "ignored": skipped}
	for _, match := range rustLine.FindAllSubmatch(output, -1) {
		all = append(all, test{name: target + "/" + string(match[1]), outcome: outcomes[string(match[2])]})
	}
	return all
}
