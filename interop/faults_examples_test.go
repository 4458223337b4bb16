package main

import (
	"os"
	"path/filepath"
	"slices"
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
	run := func(t *testing.T, dir string, command ...string) {
		t.Helper()
		args := slices.Concat([]string{"emulator", "--hub", "orders:1", "--http", ":0", "--"}, command)
		if err := setup.CommandWith(t.Context(), dir, []string{"PYTHONDONTWRITEBYTECODE=1"}, eventhubs, args...); err != nil {
			t.Error(err)
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
