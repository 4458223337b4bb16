package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/klauspost/compress/zstd"
)

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

// publishTo publishes to a new server, and returns the server and the command's result.
func publishTo(t *testing.T, stdin string, args ...string) (*emulator.Server, result) {
	t.Helper()
	server := startServer(t)
	p := program{stdin: strings.NewReader(stdin), env: map[string]string{connectionEnv: server.ConnectionString("")}}
	return server, p.run(t, append([]string{"publish"}, args...)...)
}

// wantStored compares the bodies in a hub, in any order.
func wantStored(t *testing.T, server *emulator.Server, want ...string) {
	t.Helper()
	got := stored(server, "events")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("bodies: got %q want %q", got, want)
	}
}

func TestGzipIsReadWhereverItComesFrom(t *testing.T) {
	two := zipped("a\n") + zipped("b\nc") // as "cat one.gz two.gz" makes it
	server, got := publishTo(t, two, "-")
	got.want(t, exitOK)
	wantStored(t, server, "a", "b", "c")

	server, got = publishTo(t, "", "--format", "ndjson", writeFile(t, zipped("1\n[2]\n")), writeFile(t, "3\n"))
	got.want(t, exitOK)
	wantStored(t, server, "1", "[2]", "3")
}

// wantBroken publishes broken files by name. Each must be refused as broken in that format, before
// an event is sent.
func wantBroken(t *testing.T, format string, contents map[string]string) {
	t.Helper()
	for name, content := range contents {
		for _, flag := range []string{"--format=lines", "--skip-bad"} {
			file := writeFile(t, content)
			server, got := publishTo(t, "", flag, file)
			got.want(t, exitBadInput, file+": broken "+format)
			if n := len(stored(server, "events")); n != 0 {
				t.Errorf("%s: %d events were sent", name, n)
			}
		}
	}
}

func TestBrokenGzipIsToldAndNothingIsSent(t *testing.T) {
	whole := zipped(strings.Repeat("line\n", 1000))
	wantBroken(t, "gzip", map[string]string{
		"no header":    whole[:5],
		"cut":          whole[:len(whole)/2],
		"corrupt data": whole[:12] + strings.Repeat("\xff", 20) + whole[32:],
		"bad checksum": whole[:len(whole)-8] + "12345678",
	})
}

func TestAFileIsOneEventWhateverItsBytes(t *testing.T) {
	image, empty := writeFile(t, "\x89PNG\r\n\x1a\n\x00\xff"), writeFile(t, "")
	compressed := zipped("kept as it is")
	server, got := publishTo(t, "", "--format", "file", image, empty, writeFile(t, compressed))
	got.want(t, exitOK)
	wantStored(t, server, "\x89PNG\r\n\x1a\n\x00\xff", compressed)

	large := writeFile(t, strings.Repeat("x", maxEventBytes+1))
	_, got = publishTo(t, "", "--format", "file", image, large)
	got.want(t, exitBadInput, large+": longer than 1045504 bytes")
	server, got = publishTo(t, "", "--format", "file", "--skip-bad", large, image)
	got.want(t, exitOK, "Left out: 1 bad file; the first: "+large)
	wantStored(t, server, "\x89PNG\r\n\x1a\n\x00\xff")
}

func TestNDJSONRefusesWhatIsNoJSON(t *testing.T) {
	server, got := publishTo(t, "{\"a\":1}\n7\nnot\n8\n", "--format", "ndjson", "-")
	got.want(t, exitBadInput, "standard input: line 3: not JSON")
	wantStored(t, server, `{"a":1}`, "7")
}

func TestAByteOrderMarkIsOfNoEvent(t *testing.T) {
	const mark = "\ufeff"
	for _, test := range []struct {
		input, want string
		args        []string
	}{
		{`{"id":1}`, `{"id":1}`, []string{"--format", "ndjson"}},
		{`{"id":1}`, `{"id":1}`, []string{"--key", "id"}},
		{`{"body":"x"}`, "x", []string{"--format", "events"}},
		{"x", "x", nil},
		{mark + "x", mark + "x", nil}, // only the first is a mark
	} {
		server, got := publishTo(t, mark+test.input+"\n", append(test.args, "-")...)
		got.want(t, exitOK)
		wantStored(t, server, test.want)
	}
}

// Files that were joined have marks at other lines.
func TestAByteOrderMarkWithinJSONIsDropped(t *testing.T) {
	server, got := publishTo(t, "\ufeff1\n\ufeff2\n", "--format", "ndjson", "-")
	got.want(t, exitOK)
	wantStored(t, server, "1", "2")
}

func zstdOf(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func TestZstdIsReadWhereverItComesFrom(t *testing.T) {
	skippable := "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
	two := skippable + zstdOf(t, "a\n") + zstdOf(t, "b\nc")
	server, got := publishTo(t, two, "-")
	got.want(t, exitOK)
	wantStored(t, server, "a", "b", "c")

	server, got = publishTo(t, "", "--format", "ndjson", writeFile(t, zstdOf(t, "\ufeff1\n[2]\n")), writeFile(t, "3\n"))
	got.want(t, exitOK)
	wantStored(t, server, "1", "[2]", "3")
}

func TestBrokenZstdIsToldAndNothingIsSent(t *testing.T) {
	whole := zstdOf(t, strings.Repeat("line\n", 1000)+"end")
	wantBroken(t, "zstd", map[string]string{
		"no header":    whole[:5],
		"cut":          whole[:len(whole)-6],
		"bad checksum": whole[:len(whole)-4] + "1234",
		"more after":   whole + "text",
		// A frame's header with a window of 4 GiB.
		"large window": "\x28\xb5\x2f\xfd\x00\xb0\x01\x00\x00",
	})
}

// An error of the disk is no fault of the compressed data.
func TestAReadErrorWithinCompressedDataIsAFailure(t *testing.T) {
	gone := errors.New("the disk is gone")
	for name, content := range map[string]string{"gzip": zipped(strings.Repeat("line\n", 1000)), "zstd": zstdOf(t, strings.Repeat("line\n", 1000))} {
		r, _, err := decompressed(io.MultiReader(strings.NewReader(content[:len(content)/2]), iotest.ErrReader(gone)))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if _, unfit := errors.AsType[*unfitError](err); unfit || !errors.Is(err, gone) {
			t.Errorf("%s: got %v, want the disk's error, and not as broken data", name, err)
		}
	}
}

func TestWhatIsNotTextInUTF8IsNamed(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"UTF-16 little endian":   {"\xff\xfea\x00\n\x00", "it is in UTF-16; convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8"},
		"UTF-16 big endian":      {"\xfe\xff\x00a\x00\n", "it is in UTF-16;"},
		"UTF-16 without a mark":  {"{\x00}\x00\n\x00", "it is in UTF-16LE; convert it to UTF-8 first: iconv -f UTF-16LE -t UTF-8"},
		"big endian without one": {"\x00a\x00b\x00\n", "it is in UTF-16BE;"},
		"UTF-32":                 {"\xff\xfe\x00\x00a\x00\x00\x00", "it is in UTF-32;"},
		"xz":                     {"\xfd7zXZ\x00\x00", "it is in the format xz; this command reads gzip and zstd"},
		"bzip2":                  {"BZh91AY&SY\x00", "it is in the format bzip2;"},
		"zip":                    {"PK\x03\x04\x14\x00", "it is in the format zip;"},
		"Parquet":                {"PAR1\x15\x04", "it is in the format Parquet;"},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, test.content)
			server, got := publishTo(t, "", "--skip-bad", file)
			got.want(t, exitBadInput, file+": "+test.want)
			wantStored(t, server)
			_, got = publishTo(t, test.content, "--format", "ndjson", "-")
			got.want(t, exitBadInput, "standard input: "+test.want)
			server, got = publishTo(t, "", "--format", "file", file) // it takes any bytes
			got.want(t, exitOK)
			wantStored(t, server, test.content)
		})
	}
	for _, text := range []string{"PK", "BZh", "P", "a", "\x00", "\x1f", "a\x00b", "PAR1"} {
		server, got := publishTo(t, text, "-")
		got.want(t, exitOK)
		wantStored(t, server, text)
	}
}

// A device, or a file that is no text, may have no end of line.
func TestALineWithoutEndIsRefusedAtABound(t *testing.T) {
	for _, flag := range []string{"--format=lines", "--skip-bad"} {
		read := &letters{}
		p := program{stdin: read}
		got := p.run(t, "publish", flag, "-")
		want := "standard input: line 1: longer than"
		if flag == "--skip-bad" {
			want = "standard input: line 1 has no end within 256 MiB; is it a file of lines?"
		}
		got.want(t, exitBadInput, want)
		if n := read.bytes.Load(); n > endless+(1<<20) {
			t.Errorf("%s: %d bytes were read", flag, n)
		}
	}
}

// letters is a reader without end.
type letters struct {
	bytes atomic.Int64 // the command may still read when it has returned
}

func (l *letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	l.bytes.Add(int64(len(p)))
	return len(p), nil
}

func TestAValueOfSeveralLinesIsNamed(t *testing.T) {
	const want = "line 1: not JSON: several lines make one value; use jq -c"
	for _, args := range [][]string{{"--format", "ndjson"}, {"--key", "id"}, {"--format", "events"}} {
		for _, text := range []string{"{\n  \"id\": 1\n}\n", "{ \"id\": 1,\n \"n\": 2}", "[\n{\"id\":1}\n]\n", "{\"a\": [ \r\n1]}"} {
			_, got := publishTo(t, text, append(args, "-")...)
			got.want(t, exitBadInput, want)
			if isList := text[0] == '['; strings.Contains(got.stderr, "use jq -c '.[]'") != isList {
				t.Errorf("%q: standard error says %s", text, got.stderr)
			}
		}
		// Such a line is broken in itself, or cut.
		for _, text := range []string{"{\"id\": 1}}", "[1,,", "{\"id\"", "\"a{", "nul", "{a:1,"} {
			_, got := publishTo(t, text, append(args, "-")...)
			got.want(t, exitBadInput)
			if strings.Contains(got.stderr, "jq") {
				t.Errorf("%q: standard error says %s", text, got.stderr)
			}
		}
	}
}

func TestPropertiesAndContentTypeAreOfEveryEvent(t *testing.T) {
	server, got := publishTo(t, "a\nb\n", "--property", "source=import", "--property", "note=a=b", "--content-type", "text/plain", "--partition", "2", "-")
	got.want(t, exitOK)
	n := 0
	for e := range server.Events("events", "2") {
		n++
		if len(e.Properties) != 2 || e.Properties["source"] != "import" || e.Properties["note"] != "a=b" {
			t.Errorf("properties %v, want source and note", e.Properties)
		}
	}
	if n != 2 {
		t.Errorf("%d events are in partition 2, want 2", n)
	}
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got = p.run(t, "tail", "--from", "start", "--count", "2", "--output", "json")
	for _, r := range decodeLines(t, got.stdout) {
		if r.ContentType == nil || *r.ContentType != "text/plain" {
			t.Errorf("%+v has not the content type", r)
		}
	}
}

func TestRepeatPublishesTheWholeInputAgain(t *testing.T) {
	got := program{}.run(t, "publish", "--repeat", "3", "--key", "id", "--output", "json", writeFile(t, "{\"id\":1}\n{\"id\":2}\n"), writeFile(t, "{\"id\":1}\n"))
	got.want(t, exitOK)
	if r := got.report(t); r.Events != 9 || !r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}

func TestRateSpacesTheEventsOut(t *testing.T) {
	for _, test := range []struct {
		rate   float64
		events int
		want   time.Duration
	}{
		{0, 1000, 0},
		{10, 11, time.Second},
		{0.5, 3, 4 * time.Second},
		{100_000, 100_001, time.Second},
		{1e-100, 2, longestPause},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := newPace(test.rate)
			for range test.events {
				if err := p.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(start); got > test.want || got < test.want-finestPause {
				t.Errorf("%d events at %v/s took %v, want %v", test.events, test.rate, got, test.want)
			}
		})
	}
}

func TestRateMakesUpForNoMoreThanASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10)
		_ = p.wait(t.Context())
		time.Sleep(time.Hour) // the buffer was full
		start := time.Now()
		for range 31 {
			_ = p.wait(t.Context())
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("31 events at 10/s after a stall took %v, want 2s: 11 at once, then 10 a second", got)
		}
	})
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	server := startServer(t)
	sent := []emulator.Event{
		{Body: []byte("text <&> ü\n\"x\""), PartitionKey: "k", Properties: map[string]any{"n": int64(7), "f": 1.5, "whole": 1.0, "t": "x", "b": true}},
		{Body: []byte("\x00\xff")},
		{Body: []byte{}},
	}
	if err := server.Seed("events", "0", sent...); err != nil {
		t.Fatal(err)
	}
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	printed := p.run(t, "tail", "--from", "start", "--count", "3", "--output", "json")
	printed.want(t, exitOK)

	copied, got := publishTo(t, printed.stdout, "--format", "events", "-")
	got.want(t, exitOK)
	var keyed emulator.Event
	for _, id := range copied.PartitionIDs("events") {
		for e := range copied.Events("events", id) {
			if e.PartitionKey == "k" {
				keyed = e
			}
		}
	}
	if string(keyed.Body) != string(sent[0].Body) || !maps.Equal(keyed.Properties, sent[0].Properties) {
		t.Errorf("got %q with %v, want %q with %v", keyed.Body, keyed.Properties, sent[0].Body, sent[0].Properties)
	}
	wantStored(t, copied, string(sent[0].Body), "\x00\xff", "")
}

// The command line completes a record, and what it says of every event counts.
func TestTheCommandLineCompletesRecords(t *testing.T) {
	for _, record := range []string{`{"body":"x"}`, `{"body":"x","contentType":"a/b","properties":{"source":"old","n":1}}`, `{"body":"x","subject":"s","contentType":"a/b"}`} {
		server, got := publishTo(t, record+"\n", "--format", "events", "--content-type", "text/plain", "--property", "source=new", "-")
		got.want(t, exitOK)
		m := allEvents(t, server)["x"]
		source, _ := m.ApplicationProperties.Get("source")
		n, _ := m.ApplicationProperties.Get("n")
		if p := m.Properties; p == nil || p.ContentType == nil || *p.ContentType != "text/plain" || (p.Subject != nil) != strings.Contains(record, "subject") ||
			source != "new" || (n == int64(1)) != strings.Contains(record, `"n"`) {
			t.Errorf("%s: got %+v with %+v", record, m, m.Properties)
		}
	}
}

func TestWhatIsNoRecordIsBad(t *testing.T) {
	for line, want := range map[string]string{
		`{}`:                                    "it has neither body nor bodyBase64 nor bodyValue",
		`[]`:                                    "not a record of an event",
		`{"body":"x"} {}`:                       "there is more text after it",
		`{"body":"x"}}`:                         "there is more text after it",
		`{"body":"x"}] more`:                    "there is more text after it",
		`{"body":"x","contentType":"ü"}`:        `its contentType "ü" is not ASCII`,
		`{"body":"x","properties":{"p":1e999}}`: `its property "p" is 1e999, which is too large a number`,
		`{"body":1}`:                            "not a record of an event",
		`{"bodyBase64":"*"}`:                    "not a record of an event",
		`{"body":"x","properties":{"p":[1]}}`:   `its property "p" is a list without the name of its type`,
		`{"body":"\udc00"}`:                     `\udc00 in it lacks its other half`,
		`{"body":"` + strings.Repeat("x", maxEventBytes+1) + `"}`:                    "longer than 1045504 bytes",
		`{"body":"x","key":"` + strings.Repeat("x", partitionkey.MaxLength+1) + `"}`: "its key has 129 characters",
	} {
		server, got := publishTo(t, "{\"body\":\"first\"}\n"+line+"\n", "--format", "events", "-")
		got.want(t, exitBadInput, "standard input: line 2: ", want)
		wantStored(t, server, "first")
	}
}

func TestFilesAreLookedForBeforeAnythingIsSent(t *testing.T) {
	file := writeFile(t, "a\n")
	server, got := publishTo(t, "", file, filepath.Join(t.TempDir(), "gone"))
	got.want(t, exitBadInput, "gone: no such file")
	wantStored(t, server)
	_ = os.Remove(file)
}

// An event with a partition cannot have a key. The key must not get lost silently.
func TestARecordsKeyIsNotDroppedForAPartition(t *testing.T) {
	records := `{"body":"a"}` + "\n" + `{"body":"b","key":"k"}` + "\n"
	server, got := publishTo(t, "", "--format", "events", "--partition", "1", writeFile(t, records))
	got.want(t, exitBadInput, `line 2: it has the key "k", and --partition is given`)
	wantStored(t, server)
	server, got = publishTo(t, "", "--format", "events", "--partition", "1", "--skip-bad", writeFile(t, records))
	got.want(t, exitOK, "Left out: 1 bad line")
	wantStored(t, server, "a")
}

// Each link has its own limit: 256 KB on the Basic tier, 20 MB on dedicated clusters.
func TestTheLinkSaysHowLargeAnEventMayBe(t *testing.T) {
	for _, size := range []int{emulator.BasicMessageSize, emulator.StandardMessageSize, 3 << 20} {
		server, err := emulator.New(&emulator.Options{MaxMessageSize: size, Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		largest := size - envelopeBytes
		fits, over := strings.Repeat("x", largest), strings.Repeat("x", largest+1)
		p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
		for _, format := range []string{"lines", "file"} {
			p.run(t, "publish", "--format", format, writeFile(t, over)).want(t, exitBadInput, fmt.Sprintf("longer than %d bytes, the largest event that the hub takes", largest))
			p.run(t, "publish", "--format", format, writeFile(t, fits)).want(t, exitOK)
		}
		record := func(body string) string { return writeFile(t, `{"body":"`+body+`"}`+"\n") }
		p.run(t, "publish", "--format", "events", record(over)).want(t, exitBadInput, fmt.Sprintf("longer than %d bytes", largest))
		p.run(t, "publish", "--format", "events", record(fits)).want(t, exitOK)
		p.stdin = strings.NewReader(over + "\n" + fits)
		p.run(t, "publish", "--skip-bad", "-").want(t, exitOK, "Left out: 1 bad line")
		if got := stored(server, "events"); len(got) != 4 || slices.ContainsFunc(got, func(body string) bool { return body != fits }) {
			t.Errorf("%d bytes: %d events are stored, want the 4 that fit", size, len(got))
		}
	}
}
