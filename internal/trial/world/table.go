package world

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("update", false, "write the documents' tables that tests generate")

const tableEnds = "<!-- The end of the table. -->\n"

// WantTable checks that a document, below the root of the test's module, has that table between two
// lines, or writes it there.
func WantTable(t *testing.T, document, begins, table string) {
	t.Helper()
	path := filepath.Join(Root(t), document)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(text), begins)
	_, after, ended := strings.Cut(rest, tableEnds)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table: lines %q and %q", document, begins, tableEnds)
	}
	want := before + begins + table + tableEnds + after
	switch {
	case string(text) == want:
	case *updateDocs:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table in %s is not the one that the tests make:\n%s\nRun this test with -update, and read the changes", document, table)
	}
}
