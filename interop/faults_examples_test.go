package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// The examples of tests under faults, in other languages, pass with the official clients.
func TestTheExamplesUnderFaultsPass(t *testing.T) {
	eventhubs := filepath.Join(t.TempDir(), "eventhubs")
	if runtime.GOOS == "windows" {
		eventhubs += ".exe"
	}
	if err := setup.Command(t.Context(), "..", "go", "build", "-o", eventhubs, "./cmd/eventhubs"); err != nil {
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
		if err := setup.Need("Python 3.9 or newer, with venv", "python3"); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join("venv", "bin", "python")
		if runtime.GOOS == "windows" {
			program = filepath.Join("venv", "Scripts", "python.exe")
		}
		dir, err := setup.Install("faults-python", folder, []string{"requirements.txt"}, func(dir string) error {
			if err := setup.Command(t.Context(), dir, "python3", "-m", "venv", "venv"); err != nil {
				return err
			}
			return setup.Command(t.Context(), dir, filepath.Join(dir, program), "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt")
		})
		if err != nil {
			t.Fatal(err)
		}
		run(t, folder, filepath.Join(dir, program), "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_faults.py")
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
