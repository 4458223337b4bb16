package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestSourceReportsAReadErrorAsAFailure(t *testing.T) {
	broken := errors.New("the disk is gone")
	stream := io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken))
	s := &source{inputs: []input{{"standard input", stream}}, format: formatLines, skipBad: true, repeat: 1}
	var got []string
	var last error
	for l, err := range s.entries() {
		if err != nil {
			last = err
			continue
		}
		got = append(got, string(l.body))
	}
	if len(got) != 1 || got[0] != "a" {
		t.Errorf("lines: got %q want the one whole line", got)
	}
	if _, bad := errors.AsType[*inputError](last); bad || !errors.Is(last, broken) {
		t.Errorf("error: got %v, want the reader's, and not as bad input", last)
	}
}

func TestAFileThatVanishesIsAFailureOnceItIsPublishedInPart(t *testing.T) {
	file := writeFile(t, "a\n")
	s := &source{inputs: []input{{name: file}}, format: formatLines, repeat: 2}
	var last error
	for _, err := range s.entries() {
		_ = os.Remove(file)
		last = err
	}
	if _, bad := errors.AsType[*inputError](last); bad || !errors.Is(last, os.ErrNotExist) {
		t.Errorf("got %v, want that the file is not there, and not as bad input", last)
	}
}

// Nobody writes to the pipe, so that even opening it waits.
func TestAnInterruptEndsTheOpeningOfAPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if _, err := exec.LookPath("mkfifo"); err != nil {
		t.Skip("this system has no named pipes that a program can make:", err)
	}
	if err := exec.Command("mkfifo", name).Run(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := openSource(ctx, nil, &publishOptions{files: []string{name}, format: formatLines, repeat: 1})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, err := range s.entries() {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the interrupt", err)
		}
	}
	// The goroutine that opens it ends with its writer.
	if file, err := os.OpenFile(name, os.O_WRONLY, 0); err == nil {
		_ = file.Close()
	}
}
