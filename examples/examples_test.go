// Package examples_test runs the examples and compares their output with each one's output.txt.
package examples_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	// The examples are built from these packages. The imports keep go test from reusing an old
	// result.
	_ "github.com/go-eventhubs/eventhubs"
	_ "github.com/go-eventhubs/eventhubs/emulator"
)

var update = flag.Bool("update", false, "write each output.txt instead of comparing with it")

// runTime is longer than any example takes on a slow machine. One is built in it, since it is a
// module of its own.
const runTime = time.Minute

// programs returns the folders of the examples.
func programs(t *testing.T) (names []string) {
	t.Helper()
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) < 14 {
		t.Fatalf("there are %d examples (%v), want 14 or more", len(mains), err)
	}
	for _, file := range mains {
		names = append(names, filepath.Dir(file))
	}
	return names
}

func TestExamplesPrintWhatTheyShow(t *testing.T) {
	for _, name := range programs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, name)
			golden := filepath.Join(name, "output.txt")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")); !bytes.Equal(got, want) {
				t.Errorf("%s prints\n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

var folder string // of the built examples; TestMain removes it

// build builds the examples of this module, all at once.
var build = sync.OnceValue(func() (err error) {
	if folder, err = os.MkdirTemp("", "examples"); err != nil {
		return err
	}
	mains, err := filepath.Glob("*/main.go")
	if err != nil {
		return err
	}
	arguments := []string{"build", "-ldflags=-s -w", "-o", folder}
	for _, file := range mains {
		if name := filepath.Dir(file); !module(name) {
			arguments = append(arguments, "./"+name)
		}
	}
	if text, err := exec.Command("go", arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the examples: %w\n%s", err, text)
	}
	return nil
})

// module reports whether an example is a module of its own.
func module(name string) bool {
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func TestMain(m *testing.M) {
	status := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(status)
}

// run returns an example's output. The program must end with status 0 and write nothing to standard
// error.
func run(t *testing.T, name string) []byte {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	program := exec.CommandContext(ctx, filepath.Join(folder, name))
	if module(name) {
		program = exec.CommandContext(ctx, "go", "run", ".")
	}
	program.Dir = name
	program.WaitDelay = 5 * time.Second // for processes that the program may have started
	var stdout, stderr bytes.Buffer
	program.Stdout, program.Stderr = &stdout, &stderr
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "EVENTHUBS_CONNECTION_STRING=") {
			program.Env = append(program.Env, variable)
		}
	}
	if err := program.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %v\n%s%s", program.Args, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

func TestEveryExampleSaysWhatItShows(t *testing.T) {
	list, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programs(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(name, "main.go"), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if file.Doc == nil {
			t.Errorf("%s/main.go has no package comment", name)
		}
		if !strings.Contains(string(list), "]("+name+"/main.go)") {
			t.Errorf("README.md does not list %s", name)
		}
	}
	folders, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if name := folder.Name(); folder.IsDir() && name != "internal" && !strings.Contains(string(list), "]("+name) {
			t.Errorf("README.md does not list the folder %s", name)
		}
	}
}
