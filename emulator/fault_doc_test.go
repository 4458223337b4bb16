package emulator

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of faults into docs/faults.md")

// The document lists the faults that the code has.
func TestTheDocumentListsEveryFault(t *testing.T) {
	const path, head = "../docs/faults.md", "| Fault | `on=` | The server … | Fields of its own |\n|---|---|---|---|\n"
	var want strings.Builder
	for _, k := range faultKinds {
		on := make([]string, len(k.on))
		for i, kind := range k.on {
			on[i] = "`" + kind.String() + "`"
		}
		var fields []string
		for _, field := range k.fields {
			text := "`" + field + "`"
			if field == k.required {
				text += ", needed"
			}
			fields = append(fields, text)
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", k.name, strings.Join(on, ", "), k.about, strings.Join(fields, "; "))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), head)
	got, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table that begins with\n%s", path, head)
	}
	if got += "\n"; got == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s lists\n%s\nwant (go test -run %s -update)\n%s", path, got, t.Name(), want.String())
	}
	if err := os.WriteFile(path, []byte(before+head+want.String()+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
