package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/torture/judge"
	router "github.com/go-eventhubs/eventhubs/torture/network"
)

// liarVariable in the environment adds kinds of faults by which the service lies.
const liarVariable = "TORTURE_LIAR"

var lies = []kind{
	onTransfer("lie: accepted, and not stored", emulator.Accept()),
	onTransfer("lie: rejected, and stored", emulator.Reject("com.microsoft:argument-error", "The message is not acceptable.").Stored()),
}

// TestMain makes the test's program one of the processes of a run, as main does.
func TestMain(m *testing.M) {
	if os.Getenv(liarVariable) != "" {
		kinds = append(kinds, lies...)
	}
	if os.Getenv(roleVariable) != "" {
		if err := play(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runJSON runs the command, and returns its report.
func runJSON(t *testing.T, args ...string) (r *report, ok bool) {
	t.Helper()
	var out, status bytes.Buffer
	ok, err := run(t.Context(), append(args, "-json"), &out, &status)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(status.String())
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r, ok
}

// runWell wants a run in which nothing is wrong.
func runWell(t *testing.T, args ...string) *report {
	t.Helper()
	r, ok := runJSON(t, args...)
	if !ok {
		t.Fatalf("%s; wrong: %v", r.Failure, r.Verdict)
	}
	return r
}

// TestAShortRun makes each kind of fault once, and some often.
func TestAShortRun(t *testing.T) {
	r := runWell(t, "-for", "30s")
	// A fault of an attach needs a lost link, one of a list its next refresh: a few kinds may not
	// have had their moment.
	if want := len((&options{plain: r.Plain}).kinds()) - 8; r.KindsMade < want {
		t.Errorf("%d kinds of faults acted, want at least %d: %+v", r.KindsMade, want, r.Faults)
	}
	if r.Verdict.Totals.Read < 50_000 || r.Verdict.Totals.FailedTries == 0 {
		t.Errorf("%+v, want more than that", r.Verdict.Totals)
	}
	t.Logf("%d events, %d faults of %d kinds", r.Verdict.Totals.Read, r.Acted, r.KindsMade)
}

// TestAFullDisk fills the disk of the small journal again and again. The short run may miss it.
func TestAFullDisk(t *testing.T) {
	if !router.Possible() {
		t.Skip("no root or no /dev/net/tun")
	}
	r := runWell(t, "-for", "6s", "-faults", "10", "-only", fillDisk)
	if r.KindsMade != 1 || r.Verdict.Totals.Full == 0 {
		t.Errorf("%d faults acted, and the journal was full %d times, want some of both", r.Acted, r.Verdict.Totals.Full)
	}
	t.Logf("%d faults acted of %d", r.Acted, r.Faults[slices.IndexFunc(r.Faults, func(f faultReport) bool { return f.Kind == fillDisk })].Asked)
}

// TestFiftyKills kills one publisher, and the emulator now and then. The source is finished.
func TestFiftyKills(t *testing.T) {
	r := runWell(t, "-kills", "50")
	if k := r.Verdict.Kills; k.Lives != 50 || k.Between < 40 {
		t.Errorf("%+v, want 50 kills, 40 of them between an Enqueue and its acknowledgement", k)
	}
	t.Logf("%+v, %d events in %v", r.Verdict.Kills, r.Verdict.Totals.Stored, r.Lasted)
}

func TestKillsThatHitNothingFail(t *testing.T) {
	for _, test := range []struct {
		kills judge.Kills
		want  string
	}{
		{judge.Kills{Lives: 50}, "0 of 50 kills fell between"},
		{judge.Kills{Lives: 50, Between: 39}, "39 of 50 kills fell between"},
		{judge.Kills{Lives: 49, Between: 49}, "49 of 50 kills ended a life"},
		{judge.Kills{Lives: 50, Between: 40}, ""},
	} {
		err := checkKills(50, test.kills)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.kills, err, test.want)
		}
	}
}

// TestAServiceThatLiesIsFound has a whole run judged whose service accepts what it does not store,
// and the reverse.
func TestAServiceThatLiesIsFound(t *testing.T) {
	t.Setenv(liarVariable, "1")
	honest := kinds
	kinds = append(slices.Clip(kinds), lies...)
	defer func() { kinds = honest }()
	r, ok := runJSON(t, "-for", "4s", "-faults", "10", "-only", "lie:", "-directory", filepath.Join(t.TempDir(), "run"))
	if ok {
		t.Fatal("the run is ok")
	}
	for _, f := range r.Faults {
		if f.Asked > 0 && f.Acted == 0 {
			t.Errorf("%s was asked for %d times, and never acted", f.Kind, f.Asked)
		}
	}
	wrong := r.Verdict.Wrong
	delete(wrong, judge.WrongKept) // a journal stops a partition that has stored more than it sent
	if wrong[judge.WrongLost] == 0 || wrong[judge.WrongStored] == 0 || len(wrong) != 2 {
		t.Errorf("the judge found %v, want that events are lost, and that others are stored", wrong)
	}
}

// TestAWrongRunFails has reports of a verdict with a lost event, and of a run that failed.
func TestAWrongRunFails(t *testing.T) {
	r := &report{Verdict: &judge.Verdict{Wrong: map[string]uint64{judge.WrongLost: 1}, Examples: []string{judge.WrongLost + ": event 3 of life 1"}}}
	if r.ok() {
		t.Error("a run with an event that is lost is ok")
	}
	var out bytes.Buffer
	r.write(&out)
	if text := out.String(); !strings.Contains(text, "WRONG") || !strings.Contains(text, "event 3 of life 1") || strings.Contains(text, "Nothing wrong") {
		t.Errorf("the report says:\n%s", text)
	}
	if (&report{Verdict: &judge.Verdict{}, Failure: "the judge starts: not within 1 minute"}).ok() {
		t.Error("a run that failed is ok")
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument": {"now"},
		"must be more than 0": {"-for", "0s"},
		"leaves out":          {"-plain", "-only", largePackets},
		"no kind of fault":    {"-only", "rain"},
		"goes without":        {"-kills", "5", "-for", "1m"},
		"or of disks":         {"-plain", "-only", fillDisk},
		"MB free":             {"-for", "100000h", "-directory", filepath.Join(t.TempDir(), "r")},
	} {
		var status bytes.Buffer
		if _, err := run(t.Context(), args, &status, &status); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want an error with %q", args, err, want)
		}
	}
}
