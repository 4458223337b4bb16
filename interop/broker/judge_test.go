package main

import (
	"context"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestWhatArrivesMustBeWhatWasSent(t *testing.T) {
	contents := make([]content, 4)
	for i := range contents {
		contents[i] = contentOf(batchFormat, newSource().batch(1, i))
	}
	a, b, c, other := contents[0], contents[1], contents[2], contents[3]
	damaged, formatless := b, b
	damaged.hash, formatless.format = other.hash, 0
	want := []sent{{a, 0}, {b, 1}, {c, 0}}
	for _, test := range []struct {
		name, complaint string
		got             []content
	}{
		{"once each", "", []content{a, b, c}},
		{"twice after one unknown outcome", "", []content{a, b, b, c}},
		{"three times", "batch 1 arrived 3 times", []content{a, b, b, b, c}},
		{"twice without an unknown outcome", "batch 0 arrived 2 times", []content{a, a, b, c}},
		{"the first missing", "instead of batch 0", []content{b, c}},
		{"one missing", "instead of batch 1", []content{a, c}},
		{"the last missing", "2 of 3 batches arrived", []content{a, b}},
		{"another order", "instead of batch 1", []content{a, c, b}},
		{"a late copy", "another one arrived", []content{a, b, c, b}},
		{"another one", "another one arrived", []content{a, b, c, other}},
		{"another hash", "instead of batch 1", []content{a, damaged, c}},
		{"another format", "instead of batch 1", []content{a, formatless, c}},
	} {
		err := judge(want, test.got)
		if test.complaint == "" && err != nil || test.complaint != "" && (err == nil || !strings.Contains(err.Error(), test.complaint)) {
			t.Errorf("%s: judged %v, want %q", test.name, err, test.complaint)
		}
	}
}

func TestAContentTellsWhereSectionsEndAndWhatIsInThem(t *testing.T) {
	whole := contentOf(batchFormat, [][]byte{[]byte("ab"), []byte("c")})
	// printf '\0\0\0\2ab\0\0\0\1c' | sha256sum
	want := content{batchFormat, 2, 3, "f2939f903016e5bb29b1e4a61cdbd376220ca03a24180b39995f2d50f2e0a647"}
	if whole != want {
		t.Errorf("content %+v, want %+v", whole, want)
	}
	if other := contentOf(batchFormat, [][]byte{[]byte("a"), []byte("bc")}); other.hash == whole.hash {
		t.Errorf("both [ab c] and [a bc] have the hash %s", whole.hash)
	}
}

func TestBatchesAreTheSameEachTimeAndDifferFromEachOther(t *testing.T) {
	one, another := newSource(), newSource()
	first := one.batch(3, 20)
	if !reflect.DeepEqual(first, another.batch(3, 20)) {
		t.Error("the first batches of two sources differ")
	}
	if reflect.DeepEqual(first, one.batch(3, 20)) {
		t.Error("the first two batches of a source are the same")
	}
	if len(first) != 3 || len(first[0]) != 28 {
		t.Errorf("%d events of %d bytes, want 3 of 28", len(first), len(first[0]))
	}
}

// scripted starts a process that is a few lines of shell.
func scripted(t *testing.T, script string) (*process, *ledger, context.Context, error) {
	t.Helper()
	ctx, fail := context.WithCancelCause(t.Context())
	t.Cleanup(func() { fail(nil) })
	p := &process{name: "a script", ledger: newLedger(), log: io.Discard, lifetime: ctx, fail: fail}
	_, err := p.started(ctx, []string{"sh", "-c", script})
	if err == nil {
		t.Cleanup(p.stop)
	}
	return p, p.ledger, ctx, err
}

func TestAProcessDoesWhatItIsToldAndReportsWhatArrives(t *testing.T) {
	p, l, ctx, err := scripted(t, `echo '{"ready": "1"}'; read order; echo '{"arrived": "there", "bytes": 7}'; echo '{"done": "'$order'", "count": 3}'; read end`)
	if err != nil {
		t.Fatal(err)
	}
	count, err := p.tell(ctx, "cut")
	if count != 3 || err != nil {
		t.Errorf("told to cut: %d, %v; want 3", count, err)
	}
	got, err := l.read(ctx, "there", func(all []content) bool { return len(all) == 1 })
	if err != nil || got[0].bytes != 7 {
		t.Errorf("arrived: %+v, %v; want one of 7 bytes", got, err)
	}
}

func TestAProcessThatFailsEndsAllThatWaitsForIt(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{`exit 3`, "exit status 3"},
		{`echo hello; exit 1`, `printed "hello"`},
		{`echo '{"fault": "no port"}'; exit 1`, "no port"},
		{`echo '{"done": "x"}'`, "before it was ready"},
	} {
		if _, _, _, err := scripted(t, test.script); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", test.script, err, test.want)
		}
	}
	_, l, ctx, err := scripted(t, `echo '{"ready": "1"}'; exit 4`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.read(ctx, "there", func([]content) bool { return false }); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("reading what never arrives: %v; want the program's status", err)
	}
	p, _, ctx, err := scripted(t, `echo '{"ready": "1"}'; read order; echo '{"done": "'$order'", "error": "no such link"}'; read end`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.tell(ctx, "detach x"); err == nil || !strings.Contains(err.Error(), "no such link") {
		t.Errorf("told to do what does not work: %v", err)
	}
}

func TestABrokersPortIsNoneOfOutgoingConnections(t *testing.T) {
	for range 20 {
		port, err := freePort()
		if n, _ := strconv.Atoi(port); err != nil || n < 1024 || n >= 32_768 {
			t.Fatalf("port %q, %v; want one below 32,768", port, err)
		}
	}
}

func TestOnlyBrokersThatExistCanBeChosen(t *testing.T) {
	var stderr strings.Builder
	if _, ok := choice.Parse([]string{"rhea", "other"}, &stderr); ok || !strings.Contains(stderr.String(), "rhea, artemis") {
		t.Errorf("Parse: %v, %q; want the names that there are", ok, stderr.String())
	}
	got, ok := choice.Parse([]string{"artemis"}, &stderr)
	if !ok || len(got.Chosen) != 1 || got.Chosen[0].name != "artemis" {
		t.Errorf("Parse: %v, %v", got.Chosen, ok)
	}
}
