package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// The examples of tests under faults, in other languages, pass with the official clients.
func TestTheExamplesUnderFaultsPass(t *testing.T) {
	eventhubs, err := setup.Go(t.Context(), "eventhubs", "..", "./cmd/eventhubs")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join("..", "examples", "faults")
	run := func(t *testing.T, dir, program string, args ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "EVENTHUBS="+eventhubs, "PYTHONDONTWRITEBYTECODE=1")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", program, err, out)
		}
	}
	t.Run("Python", func(t *testing.T) {
		t.Parallel()
		python, err := setup.Python(t.Context(), "faults-python", folder)
		if err != nil {
			t.Fatal(err)
		}
		run(t, folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_faults.py")
	})
	t.Run("JavaScript", func(t *testing.T) {
		t.Parallel()
		installed, err := setup.NPM(t.Context(), "javascript", filepath.Join("clients", "javascript"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir() // Node.js searches packages from the script's place
		if err := setup.CopyFiles(folder, dir, "faults.test.mjs"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "node", "--test", "faults.test.mjs")
	})
}
