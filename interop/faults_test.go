package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// tablesOf returns the measured tables of the document.
func tablesOf(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(faultDocument)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), tablesBegin+"\n")
	tables, _, ended := strings.Cut(rest, tablesEnd)
	if !ended {
		t.Fatalf("%s lacks the lines %s and %s", faultDocument, tablesBegin, tablesEnd)
	}
	return strings.Split(tables, "\n### ")[1:]
}

func TestTheTablesHaveEveryFaultAndClient(t *testing.T) {
	tables := tablesOf(t)
	if len(tables) != len(faultTables) {
		t.Fatalf("the document has %d tables, want %d", len(tables), len(faultTables))
	}
	for i, table := range faultTables {
		lines := strings.Split(strings.TrimSpace(tables[i]), "\n")
		title, head, rows := lines[0], lines[2], lines[4:]
		if title != table.title {
			t.Errorf("table %d is %q, want %q", i, title, table.title)
		}
		columns := 0
		for _, s := range sufferers {
			if s.does(i) {
				columns++
				if !strings.Contains(head, "| "+s.title) {
					t.Errorf("table %q lacks %s", title, s.title)
				}
			}
		}
		var names []string
		for j, row := range rows {
			cells := strings.Split(strings.Trim(row, "|"), "|")
			if len(cells) != columns+1 {
				t.Errorf("table %q, row %d has %d cells, want %d", title, j, len(cells), columns+1)
			}
			for _, cell := range cells {
				if cell = strings.TrimSpace(cell); cell == "" || cell == "**not run**" {
					t.Errorf("table %q, row %s has the cell %q", title, cells[0], cell)
				}
			}
			names = append(names, strings.TrimSpace(cells[0]))
		}
		var want []string
		for j := range table.trials {
			want = append(want, table.trials[j].title())
		}
		if !slices.Equal(names, want) {
			t.Errorf("table %q has the rows %q, want %q", title, names, want)
		}
	}
}

func TestEveryFaultIsTried(t *testing.T) {
	var tried []string
	hubs, trials := allTrials()
	for _, hub := range hubs {
		if rule := trials[hub].rule; rule != "" {
			if _, err := emulator.ParseFaultRule(rule); err != nil {
				t.Error(err)
			}
			kind, _, _ := strings.Cut(rule, " ")
			tried = append(tried, kind)
		}
	}
	for _, kind := range emulator.FaultKinds() {
		if !slices.Contains(tried, kind) {
			t.Errorf("no client meets the fault %s", kind)
		}
	}
}

func TestAnErrorIsShort(t *testing.T) {
	for _, test := range []struct{ class, message, want string }{
		{"E", "The link: amqp:link:detach-forced: x", "E: amqp:link:detach-forced"},
		{"E busy", "a com.microsoft:server-busy b", "E busy: com.microsoft:server-busy"},
		{"E com.microsoft:server-busy", "a com.microsoft:server-busy b", "E com.microsoft:server-busy"},
		{"E", "status code 404 and more", "E: status code 404"},
		{"E", "ErrorCondition.NotAllowed", "E: ErrorCondition.NotAllowed"},
		{"Error", "Failed", "Error: Failed"},
		{"E", "anything", "E"},
	} {
		if got := short(test.class, test.message); got != test.want {
			t.Errorf("%s, %s: got %q, want %q", test.class, test.message, got, test.want)
		}
	}
}

// A run of some clients replaces their columns and no others.
func TestColumnsReplaceTheOldOnes(t *testing.T) {
	made := func(head, text string, receives bool) column {
		c := column{head: head}
		for i, table := range faultTables {
			for j := range table.trials {
				cell := fmt.Sprint(text, " ", i, " ", j)
				if table.trials[j].role == "receive" && !receives {
					cell = ""
				}
				c.cells = append(c.cells, cell)
			}
		}
		return c
	}
	path := filepath.Join(t.TempDir(), "doc.md")
	read := func() (columns map[string]column, text string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), tablesBegin+"\n")
		tables, _, _ := strings.Cut(rest, tablesEnd)
		return readFaultTables(tables), string(b)
	}
	if err := os.WriteFile(path, []byte("a\n"+tablesBegin+"\n"+tablesEnd+"\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]column{}
	for _, step := range []map[string]column{
		{"go": made("Go azeventhubs 1", "go", true), "ours": made("this project's producer", "ours", false)},
		{"python": made("Python azure-eventhub 1", "python", true)},
		{"go": made("Go azeventhubs 2", "newer", true)},
	} {
		if err := putTables(path, step); err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, step)
		got, text := read()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if !strings.HasPrefix(text, "a\n"+tablesBegin+"\n") || !strings.HasSuffix(text, tablesEnd+"\nb\n") {
			t.Errorf("the text around the tables has changed: %s", text)
		}
	}
	if err := os.WriteFile(path, []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := putTables(path, want); err == nil || !strings.Contains(err.Error(), "lacks the lines") {
		t.Errorf("a document without marks: %v, want an error that names them", err)
	}
}
