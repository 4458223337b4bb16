package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

func TestRowsOfCSVBecomeObjects(t *testing.T) {
	for name, test := range map[string]struct {
		input string
		args  []string
		want  []string
	}{
		"plain":             {"id,name\n007,a\n1e999,\n", nil, []string{`{"id":"007","name":"a"}`, `{"id":"1e999","name":""}`}},
		"quoted":            {"id,\"the name\"\r\n1,\"a \"\"b\"\", c\"\r\n\r\n2,\"x\r\ny\"\r\n", nil, []string{`{"id":"1","the name":"a \"b\", c"}`, `{"id":"2","the name":"x\ny"}`}},
		"no end":            {"a\n1\n\"2\n\n3\"", nil, []string{`{"a":"1"}`, `{"a":"2\n\n3"}`}},
		"byte order mark":   {"\ufeff\"a\",b\n1,2\n", nil, []string{`{"a":"1","b":"2"}`}},
		"semicolons":        {"a;b\n1,5;<ü>\n", []string{"--separator", ";"}, []string{`{"a":"1,5","b":"<ü>"}`}},
		"tabs":              {"a\tb\n1\t\\\n", []string{"--separator", "tab"}, []string{`{"a":"1","b":"\\"}`}},
		"control":           {"a\n\x01\x7f\n", nil, []string{"{\"a\":\"\\u0001\x7f\"}"}},
		"header only":       {"a,b\n", nil, nil},
		"empty":             {"", nil, nil},
		"from a line":       {"a\n1\n\"2\n3\"\n4\n5\n", []string{"--from-line", "3"}, []string{"{\"a\":\"2\\n3\"}", `{"a":"4"}`, `{"a":"5"}`}},
		"from within a row": {"a\n1\n\"2\n3\"\n4\n5\n", []string{"--from-line", "4"}, []string{`{"a":"4"}`, `{"a":"5"}`}},
		"bad rows":          {"a,b\n1\n2,\"x\"y\nx\"y,3\n4,5,6\n7,8\n", []string{"--skip-bad"}, []string{`{"a":"7","b":"8"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, way := range []string{"stream", "file"} {
				args, stdin := append([]string{"--format", "csv"}, test.args...), test.input
				if way == "file" {
					args = append(args, writeFile(t, zipped(test.input)))
				} else {
					args = append(args, "-")
				}
				server, got := publishTo(t, stdin, args...)
				got.want(t, exitOK)
				wantStored(t, server, test.want...)
			}
		})
	}
}

// A column's name may have dots, since a row has no objects in it.
func TestAPathIsTheNameOfAColumn(t *testing.T) {
	server, got := publishTo(t, "customer.id,a.b\n7,x\n", "--format", "csv", "--key", "customer.id", "--message-id", "a.b", "--property-field", "p=a.b", "-")
	got.want(t, exitOK)
	m := allEvents(t, server)[`{"customer.id":"7","a.b":"x"}`]
	key, _ := m.Annotations.Get(eventjson.KeyAnnotation)
	p, _ := m.ApplicationProperties.Get("p")
	if m.Properties == nil || m.Properties.MessageID != "x" || key != "7" || p != "x" {
		t.Errorf("got the message id %+v, the key %v and the property %v, want x, 7 and x", m.Properties, key, p)
	}
}

// Each row would be bad, so --skip-bad would leave out all of them.
func TestAColumnThatTheHeaderLacksIsNamed(t *testing.T) {
	for _, option := range []string{"--key=id", "--message-id=id", "--correlation-id=id", "--property-field=p=id"} {
		_, got := publishTo(t, "Id,kind\n7,order\n", "--format", "csv", "--skip-bad", option, "-")
		got.want(t, exitBadInput, `standard input: its header has no column "id"; it has Id, kind`)
	}
}

func TestKeysAndPropertiesComeFromColumns(t *testing.T) {
	server, got := publishTo(t, "id,kind\n7,order\n", "--format", "csv", "--key", "kind", "--message-id", "id", "--property-field", "k=kind", "-")
	got.want(t, exitOK)
	m := allEvents(t, server)[`{"id":"7","kind":"order"}`]
	key, _ := m.Annotations.Get(eventjson.KeyAnnotation)
	kind, _ := m.ApplicationProperties.Get("k")
	if m.Properties == nil || m.Properties.MessageID != "7" || key != "order" || kind != "order" {
		t.Errorf("got the message id %+v, the key %v and the property %v, want 7, order and order", m.Properties, key, kind)
	}
}

func TestWhatIsNoRowOfCSVIsBad(t *testing.T) {
	for input, want := range map[string]string{
		"a,b\n1\n":            "line 2: 1 value, and the header has 2",
		"a,b\n\n1,2\n1,2,3\n": "line 4: 3 values, and the header has 2",
		"a,b\n1,\"2\n3\"x\n":  "line 2: no row of CSV: extraneous or missing \" in quoted-field",
		"a,b\n1,2\"\n":        "line 2: no row of CSV: bare \" in non-quoted-field",
		"a,b\n1,\"2\n3,4\n":   "line 2: a quoted value is open until the end, after line 3",
		"a\n\xff\n":           "line 2: not text in UTF-8",
		"a,a\n1,2\n":          `its header has the name "a" twice`,
		"a,\n1,2\n":           "its header has no name for column 2",
		"a;b\n1;2\n":          `its header is the one name "a;b"; if ';' separates the columns, give --separator`,
		"\"a\n":               "its header is a quoted value is open",
		"\xff\n":              "its header is not text in UTF-8",
		"a,b\r1,2\r3,4\r":     `its header has a carriage return in it: lines end in \n or \r\n; for a file whose lines end in \r alone: tr '\r' '\n'`,
		"a\n" + strings.Repeat("x", maxEventBytes-3) + "\n":            "line 2: longer than 1045504 bytes",
		"a\n\"" + strings.Repeat("x\n", maxEventBytes/2+1) + "\"\n1\n": "line 2: a quoted value is open until line 522754, and the row is longer than",
	} {
		server, got := publishTo(t, input, "--format", "csv", "-")
		got.want(t, exitBadInput, "standard input: ", want)
		if n := len(stored(server, "events")); n > 1 {
			t.Errorf("%.20q: %d events are stored", input, n)
		}
	}
}

// Rows are cut as package encoding/csv cuts them, whatever the text.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\n1,\"2\n3\"\n"), false)
	f.Add([]byte("a\n\"\"\"\"\n\"x\ny\"\"\"\n"), true)
	f.Add([]byte("a,b\n1,\"2\"3\n4,5\n\r\n\"6\r\n\",7"), false)
	f.Fuzz(func(t *testing.T, text []byte, semicolon bool) {
		separator := ','
		if semicolon {
			separator = ';'
		}
		r := csv.NewReader(bytes.NewReader(text))
		r.Comma, r.FieldsPerRecord = separator, -1
		want, err := r.ReadAll()
		if err != nil || len(want) == 0 || bytes.ContainsRune(text, '\r') {
			want = nil // a broken row may be cut in another way
		}
		s := &source{inputs: []input{{name: "text", stream: bytes.NewReader(text)}}, format: formatCSV, skipBad: true, separator: separator, repeat: 1, largest: maxEventBytes}
		i := 1
		for e, err := range s.entries() {
			if err != nil {
				return // of the header
			}
			var object map[string]string
			if err := json.Unmarshal(e.body, &object); err != nil {
				t.Fatalf("%q is no object: %v", e.body, err)
			}
			if want == nil {
				continue
			}
			for i < len(want) && len(want[i]) != len(want[0]) {
				i++
			}
			if i == len(want) {
				t.Fatalf("%q is one row more than %q", e.body, want)
			}
			row := map[string]string{}
			for j, name := range want[0] {
				row[name] = want[i][j]
			}
			if !maps.Equal(object, row) && bytes.IndexFunc(text, func(c rune) bool { return c == '\ufffd' }) < 0 {
				t.Fatalf("row %d: got %q want %q", i, object, row)
			}
			i++
		}
	})
}

func TestAJournalGoesOnInACSVFile(t *testing.T) {
	for _, flag := range []string{"--journal", "--resume"} {
		server, folder := startServer(t), t.TempDir()
		p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
		file := filepath.Join(folder, "rows.csv")
		var content strings.Builder
		content.WriteString("a,b\n1,\"x\ny\"\n")
		for _, more := range []string{"", "2,\n", "\n3,z\n"} {
			content.WriteString(more)
			writeTo(t, file, content.String())
			p.run(t, "publish", flag, filepath.Join(folder, "kept"), "--format", "csv", file).want(t, exitOK)
		}
		wantStored(t, server, `{"a":"1","b":"x\ny"}`, `{"a":"2","b":""}`, `{"a":"3","b":"z"}`)
	}
}
