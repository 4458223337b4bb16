package suites

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestATestThatDidNotEndHasFailed(t *testing.T) {
	for _, test := range []struct {
		name    string
		actions []string // part/ before those of a part
		want    outcome
	}{
		{"passed", []string{"run", "pass"}, passed},
		{"failed", []string{"run", "fail"}, failed},
		{"skipped", []string{"run", "skip"}, skipped},
		{"never ended", []string{"run", "output"}, failed},
		{"all parts skipped", []string{"run", "part/skip", "part/skip", "pass"}, skipped},
		{"one part skipped", []string{"run", "part/skip", "part/pass", "pass"}, passed},
	} {
		var r goResult
		for _, action := range test.actions {
			name, isPart := strings.CutPrefix(action, "part/")
			r.take(name, isPart)
		}
		if got := r.outcome(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestOutcomesAreReadFromCargo(t *testing.T) {
	got := rustTests("producer", []byte("running 3 tests\ntest a::one ... ok\ntest two - should panic ... FAILED\ntest three ... ignored, too slow\ntest four ... "))
	want := []test{{"producer/a::one", passed}, {"producer/two", failed}, {"producer/three", skipped}, {"producer/four", failed}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestOutcomesAreReadFromAReportOfPytest(t *testing.T) {
	got, err := junit([]byte(`<testsuites><testsuite>
		<testcase classname="c" name="ok"/>
		<testcase classname="c" name="bad"><failure message="m"/></testcase>
		<testcase classname="c" name="broken"><error message="m"/></testcase>
		<testcase classname="c" name="not"><skipped/></testcase>
	</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	r := &result{suite: &suite{}, all: got}
	if r.count(passed) != 1 || r.count(failed) != 2 || r.count(skipped) != 1 {
		t.Errorf("%d passed, %d failed, %d skipped of %v; want 1, 2 and 1", r.count(passed), r.count(failed), r.count(skipped), got)
	}
}

// The document has the results of these suites, in these versions.
func TestTheDocumentNamesTheSuites(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "emulator.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		if row := fmt.Sprintf("\n| %s %s | %s | ", s.title, s.version, s.tests); !strings.Contains(string(text), row) {
			t.Errorf("docs/emulator.md has no row that begins with %q", row)
		}
	}
}

// The table states versions, and the files that install the suites pin them.
func TestVersionsArePinned(t *testing.T) {
	for name, pin := range map[string]string{
		"python/requirements.txt": "azure-eventhub==" + pythonSuite.version + "\n",
		"rust/Cargo.toml":         `azure_messaging_eventhubs = "=` + rustSuite.version + `"`,
	} {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), pin) {
			t.Errorf("%s does not contain %q", name, pin)
		}
	}
}

func TestATokenIsForItsAudience(t *testing.T) {
	if _, err := judgeToken(t.Context(), token(hubAudience)); err != nil {
		t.Errorf("a token for hubs: %v", err)
	}
	for _, bad := range []string{token(storageAudience), "no.token", "a.b.c"} {
		if _, err := judgeToken(t.Context(), bad); err == nil {
			t.Errorf("the token %q is accepted", bad)
		}
	}
}

func TestTheTableCountsOutcomes(t *testing.T) {
	got := table([]*result{{suite: &suite{title: "A", version: "1", tests: "all"}, all: []test{{"a", passed}, {"b", skipped}}, err: errors.New("unused")}})
	if want := "| A 1 | all | 1 | 0 | 1 | 0 |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("the table is %q, want it to end with %q", got, want)
	}
}
