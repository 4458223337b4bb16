package main

import (
	"context"
	"errors"
	"fmt"
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
	s := &source{inputs: []input{{name: "standard input", stream: stream}}, format: formatLines, skipBad: true, repeat: 1, largest: maxEventBytes}
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
	s := &source{inputs: []input{{name: file}}, format: formatLines, repeat: 2, largest: maxEventBytes}
	var last error
	for _, err := range s.entries() {
		_ = os.Remove(file)
		last = err
	}
	if _, bad := errors.AsType[*inputError](last); bad || !errors.Is(last, os.ErrNotExist) {
		t.Errorf("got %v, want that the file is not there, and not as bad input", last)
	}
}

// A log that is rotated by copying and truncating gets shorter while it is read.
func TestAFileThatIsShortenedAfterTheCheckIsAFailure(t *testing.T) {
	for name, content := range map[string]string{"lines are gone": "a\nb\n", "a part of the last line is gone": "a\nb\nc", "empty": "", "grown": "a\nb\ncd\ne", "as it was": "a\nb\ncd\n"} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, "a\nb\ncd\n")
			s, err := openSource(t.Context(), nil, &publishOptions{files: []string{file}, format: formatLines, repeat: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range s.entries() {
				last = err
			}
			want := fmt.Sprintf("the input was shortened after the check, which read 7 bytes: now it has %d, and the last event may be a part of a line", len(content))
			if len(content) >= 7 {
				want = "<nil>"
			}
			if _, bad := errors.AsType[*inputError](last); bad || fmt.Sprint(last) != want {
				t.Errorf("got %v, want %s, and not as bad input", last, want)
			}
		})
	}
}

// The pipe has no writer, so even opening it waits.
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

// Lines of every length around the buffer's are split like lines in memory.
func TestLinesOfAnyLengthAreCutAlike(t *testing.T) {
	const limit = 3 * lineBuffer
	var input strings.Builder
	var want []string
	for _, end := range []string{"\n", "\r\n"} {
		for _, length := range []int{
			0, 1, lineBuffer - 2, lineBuffer - 1, lineBuffer, lineBuffer + 1, 2*lineBuffer - 2, 2*lineBuffer - 1, 2 * lineBuffer, 2*lineBuffer + 1,
			limit - 2, limit - 1, limit, limit + 1, limit + 2, limit + lineBuffer, 10 * lineBuffer, 2,
		} {
			input.WriteString(strings.Repeat("x", length) + end)
			switch {
			case length > limit:
				want = append(want, "too long")
			case length > 0:
				want = append(want, strings.Repeat("x", length))
			}
		}
	}
	want = append(want, "the last has no end")
	input.WriteString("the last has no end")
	for name, in := range map[string]io.Reader{"at once": strings.NewReader(input.String()), "a piece at a time": iotest.HalfReader(strings.NewReader(input.String()))} {
		r, _, err := formatLines.reader(in)
		if err != nil {
			t.Fatal(err)
		}
		c := &cutter{format: formatLines, r: r, largest: limit, skipsBad: true}
		for i := 0; ; i++ {
			got, err := c.next()
			if err == io.EOF {
				if i != len(want) {
					t.Errorf("%s: %d lines, want %d", name, i, len(want))
				}
				break
			}
			if i == len(want) {
				t.Fatalf("%s: a line more than %d, of %d bytes", name, i, len(got))
			}
			if _, bad := errors.AsType[*contentError](err); bad != (want[i] == "too long") || !bad && string(got) != want[i] {
				t.Errorf("%s: entry %d has %d bytes, %v, want %d", name, i, len(got), err, len(want[i]))
			}
		}
	}
}
