package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(checkpointMark))
	f.Add((&checkpoint{name: "/a", size: 7, line: 2, trail: trail{offset: 6, length: 3, head: 1, last: 2}}).append(nil))
	f.Add((&checkpoint{name: "/b c", before: math.MaxUint32, size: math.MaxInt64, line: 1 << 30, trail: trail{offset: math.MaxInt64}}).append(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ok := parseCheckpoint(text)
		if !ok {
			return
		}
		again, ok := parseCheckpoint(c.append(nil))
		if !ok || again != c {
			t.Errorf("got %+v, %v of what %+v encodes to", again, ok, c)
		}
	})
}

// A journalRun publishes files of a folder with one journal, again and again.
type journalRun struct {
	t      *testing.T
	server *emulator.Server
	folder string
	args   []string
}

func newJournalRun(t *testing.T, args ...string) *journalRun {
	return &journalRun{t, startServer(t), t.TempDir(), args}
}

func (r *journalRun) write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *journalRun) publish(names ...string) result {
	r.t.Helper()
	args := append([]string{"publish", "--journal", filepath.Join(r.folder, "kept")}, r.args...)
	for _, name := range names {
		args = append(args, filepath.Join(r.folder, name))
	}
	return program{env: map[string]string{connectionEnv: r.server.ConnectionString("")}}.run(r.t, args...)
}

func TestPublishGoesOnInAGrownFile(t *testing.T) {
	for _, test := range []struct {
		name         string
		args         []string
		before, then string
		want         []string
		refused      string
	}{
		{name: "lines", before: "a\nb\n", then: "a\nb\n\nc\n", want: []string{"a", "b", "c"}},
		{name: "the same", before: "a\nb\n", then: "a\nb\n", want: []string{"a", "b"}},
		{name: "no end of the line", before: "a\nb", then: "a\nb\nc", want: []string{"a", "b", "c"}},
		{name: "no end of the line, with carriage returns", before: "a\r\nb", then: "a\r\nb\r\nc\r\n", want: []string{"a", "b", "c"}},
		{name: "a line that was read in the middle", before: "a\nb", then: "a\nbc\n", want: []string{"a", "b"}, refused: "its line 2 was accepted into the journal: that line is longer"},
		{name: "gzip", before: zipped("a\nb\n"), then: zipped("a\nb\n") + zipped("c\n"), want: []string{"a", "b", "c"}},
		{name: "gzip, packed again", before: zipped("a\nb\n"), then: zipped("a\nb\nc\n"), want: []string{"a", "b", "c"}},
		{name: "a byte order mark", args: []string{"--format", "ndjson"}, before: "\ufeff1\n2\n", then: "\ufeff1\n2\n3\n", want: []string{"1", "2", "3"}},
		{name: "bad lines", args: []string{"--format", "ndjson", "--skip-bad"}, before: "1\nx\n2\ny\n", then: "1\nx\n2\ny\n3\n", want: []string{"1", "2", "3"}},
		{name: "another beginning", before: "a\nb\n", then: "A\nb\nc\n", want: []string{"a", "b"}, refused: "its first 4 bytes are others"},
		{name: "another last line after the same beginning", before: strings.Repeat("-", 2000) + "\nb\n", then: strings.Repeat("-", 2000) + "\nB\nc\n",
			want: []string{strings.Repeat("-", 2000), "b"}, refused: "that line is another"},
		{name: "shorter", before: "a\nb\n", then: "a\n", want: []string{"a", "b"}, refused: "that was at its byte 4, of 4 in the file, which has 2 now"},
		{name: "shorter, but longer than the first bytes", before: strings.Repeat("-", 2000) + "\nb\n", then: strings.Repeat("-", 2000) + "\n",
			want: []string{strings.Repeat("-", 2000), "b"}, refused: "that was at its byte 2003, of 2003 in the file, which has 2001 now"},
		{name: "a shorter gzip", before: zipped("a\nb\nc\n"), then: zipped("a\n"), want: []string{"a", "b", "c"}, refused: "that was at its byte 6, of "},
		{name: "whole file", args: []string{"--format", "file"}, before: "a\n", then: "a\n", want: []string{"a\n"}},
		{name: "whole file, grown", args: []string{"--format", "file"}, before: "a\n", then: "a\nb", want: []string{"a\n"}, refused: "has changed since it was accepted into the journal: it is longer"},
		{name: "whole file, shorter", args: []string{"--format", "file"}, before: "a\n", then: "a", want: []string{"a\n"}, refused: "which has 1 now"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newJournalRun(t, test.args...)
			r.write("input", test.before)
			r.publish("input").want(t, exitOK)
			r.write("input", test.then)
			if test.refused == "" {
				r.publish("input").want(t, exitOK, "Going on after ")
			} else {
				r.publish("input").want(t, exitBadInput, test.refused, "if it is a new file, give it another name")
			}
			wantStored(t, r.server, test.want...)
		})
	}
}

// The end of a line is written after the line was published. Each later run knows the place, and
// the beginning of the file.
func TestALineWhoseEndIsWrittenLaterCountsOnce(t *testing.T) {
	r := newJournalRun(t)
	for i, content := range []string{"a\nb", "a\nb\nc", "a\nb\nc\nd\n", "a\nb\nc\nd\n"} {
		r.write("input", content)
		want := ""
		if i > 0 {
			want = fmt.Sprintf("Going on after %s: line %d\n", filepath.Join(r.folder, "input"), 1+i)
		}
		r.publish("input").want(t, exitOK, want)
	}
	wantStored(t, r.server, "a", "b", "c", "d")
}

func TestPublishGoesOnInSeveralFiles(t *testing.T) {
	r := newJournalRun(t)
	r.write("a", "a1\na2\n")
	r.write("b", "b1\n")
	r.write("c", "c1\n")
	r.publish("a", "b").want(t, exitOK)
	r.publish("a", "b", "c").want(t, exitOK, "b: line 1; 1 file before it was accepted earlier")
	r.publish("c").want(t, exitOK, "Going on after ", "c: line 1")
	wantStored(t, r.server, "a1", "a2", "b1", "c1")

	// c is known, and the journal cannot know if d was published before.
	r.write("d", "d1\n")
	r.publish("d", "c").want(t, exitBadInput, "c: line 1, and other files were before that one: give the same files in the same order, and new ones after them")
	r.publish("d").want(t, exitOK, "of another input: this one is published from its beginning")
	wantStored(t, r.server, "a1", "a2", "b1", "c1", "d1")
}

func TestACheckpointOfAnotherProgramIsRefused(t *testing.T) {
	if c, ok := parseCheckpoint([]byte("sensor 7, line 12")); ok {
		t.Errorf("got %+v of a text that this command did not write", c)
	}
}
