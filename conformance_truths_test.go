package eventhubs_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A cell is a figure of docs/benchmarks.md, in whatever unit: only ratios are made of them.
func cell(t *testing.T, row string, column int) float64 {
	t.Helper()
	cells := strings.Split(row, "|")
	text := strings.TrimSpace(cells[column])
	scale := 1.0
	if number, ok := strings.CutSuffix(text, " M"); ok {
		text, scale = number, 1e6
	} else if number, ok := strings.CutSuffix(text, " k"); ok {
		text, scale = number, 1e3
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q in %s is no figure", cells[column], row)
	}
	return value * scale
}

// rowOf is the row of a peer in the first table behind a heading.
func rowOf(t *testing.T, text, heading, peer string) string {
	t.Helper()
	_, behind, found := strings.Cut(text, heading)
	_, row, there := strings.Cut(behind, "\n| "+peer+" |")
	if !found || !there {
		t.Fatalf("docs/benchmarks.md has no row %q behind %q", peer, heading)
	}
	row, _, _ = strings.Cut(row, "\n")
	return "| " + peer + " |" + row
}

// The README says of this producer beside others what the measured tables say, and where another is faster.
func TestTheReadmesRatiosAreThoseOfTheMeasuredTables(t *testing.T) {
	measured, readme := readText(t, "docs/benchmarks.md"), readText(t, "README.md")
	sizes := []string{"100 B", "1 KB", "10 KB"}
	const ours = "**this producer**"
	for _, c := range []struct {
		row, peer string
		plain     int // the column in the tables of each size; 0: the one over TLS
	}{
		{"events/s of go-amqp, with full batches that were encoded beforehand", "go-amqp, pre-encoded full batches", 2},
		{"events/s of azeventhubs by hand", "azeventhubs by hand", 2},
		{"events/s of .NET's client, batches by hand", ".NET by hand", 2},
		{"events/s of franz-go", "franz-go", 2},
		{"events/s of franz-go, both over TLS", "franz-go", 0},
		{"client CPU of franz-go (less is better)", "franz-go", 3},
	} {
		var want strings.Builder
		want.WriteString("| " + c.row + " |")
		for i, size := range sizes {
			heading, column := "\n| "+size+" | events/s |", c.plain
			if c.plain == 0 {
				heading, column = "\nThe same over TLS 1.3", 2+2*i
			}
			ratio := cell(t, rowOf(t, measured, heading, ours), column) / cell(t, rowOf(t, measured, heading, c.peer), column)
			digits := 2
			switch {
			case ratio >= 10:
				digits = 0
			case ratio >= 1:
				digits = 1
			}
			want.WriteString(" " + strconv.FormatFloat(ratio, 'f', digits, 64) + " |")
			if faster := fmt.Sprintf("%s is faster at", c.peer); ratio < 0.8 && c.plain == 2 && c.peer == "franz-go" && !regexp.MustCompile(regexp.QuoteMeta(faster)+`.*\b`+size).MatchString(readme) {
				t.Errorf("%s reaches %.2f times as many events/s at %s, and the README does not say so", c.peer, 1/ratio, size)
			}
		}
		if !strings.Contains(readme, "\n"+want.String()+"\n") {
			t.Errorf("the README lacks the row\n%s", want.String())
		}
	}
}
