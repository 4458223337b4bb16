package main

import (
	"encoding/json"
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

// A cell says what the lines of a client's script and the emulator show.
func TestACellSaysWhatAClientDid(t *testing.T) {
	for _, test := range []struct {
		name   string
		trial  trial
		tries  int
		stored int
		lines  string
		want   string
	}{
		{"sent", trial{role: "send", tries: emulator.KindTransfer}, 2, 1, `{"hub":"h","seconds":0.4}`, "sent at once, 2 tries"},
		{"lost", trial{role: "send", tries: emulator.KindTransfer}, 1, 0, `{"hub":"h","seconds":1.52}`, "sent after 1.5 s, 1 try, **not stored**"},
		{"sent twice", trial{role: "send", tries: emulator.KindAttach}, 3, 2, `{"hub":"h","seconds":12.4}`, "sent after 12 s, 3 tries, stored 2×"},
		{"failed", trial{role: "blind"}, 1, 0, `{"hub":"h","seconds":2,"class":"E","message":"amqp:not-found: no"}`, "`E: amqp:not-found` after 2.0 s"},
		{"failed, but stored", trial{role: "send", tries: emulator.KindTransfer}, 1, 1, `{"hub":"h","seconds":2,"class":"E"}`, "`E` after 2.0 s, 1 try, stored 1×"},
		{"not ended", trial{role: "send", tries: emulator.KindTransfer}, 1, 1, `{"hub":"h","ready":true}`, "still trying after 120 s, 1 try, stored 1×"},
		{"received", trial{role: "receive", tries: emulator.KindAttach}, 2, 5, `{"hub":"h","seconds":1,"events":5}`, "all five after 1.0 s, 2 links"},
		{"received a part", trial{role: "receive", tries: emulator.KindAttach}, 1, 5, `{"hub":"h","seconds":0,"events":1}`, "ended without an error at once, 1 event, 1 link"},
		{"a slow close", trial{role: "send", closing: true}, 1, 1, `{"hub":"h","seconds":0}` + "\n" + `{"hub":"h","closed":60.2}`, "after 60 s"},
		{"no close", trial{role: "send", closing: true}, 1, 1, `{"hub":"h","seconds":0}`, "still closing after 120 s"},
	} {
		server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "h", Partitions: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if err := server.Seed("h", "0", make([]emulator.Event, test.stored)...); err != nil {
			t.Fatal(err)
		}
		r := &faultRun{
			server: server, trials: map[string]trial{"h": test.trial}, meetings: map[string]*meeting{"h": {}}, changed: make(chan struct{}),
			tries: map[string]map[emulator.Kind]int{"h": {test.trial.tries: test.tries}},
		}
		for line := range strings.Lines(test.lines) {
			var l faultLine
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			r.hear(&l)
		}
		if got := r.cell("h"); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
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
