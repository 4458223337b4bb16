package main

import (
	"errors"
	"io"
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
