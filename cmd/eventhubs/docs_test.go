package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

var update = flag.Bool("update", false, "write the program's output into docs/cli.md")

const cliDocument = "docs/cli.md"

// varying matches text that differs in each run: numbers, the spaces that align them, and tracking
// ids.
var varying = regexp.MustCompile(`[0-9a-f]{32}|[0-9][0-9.]*|[ \t]+`)

func TestTheDocumentShowsWhatIsPrinted(t *testing.T) {
	t.Chdir("../..")
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}, {Name: "orders", Partitions: 2}, {Name: "moved", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, body := range []string{"first", "second"} {
		if err := server.Seed("orders", "1", emulator.Event{Body: []byte(body), PartitionKey: "customer 7", Properties: map[string]any{"source": "shop"}}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(cliDocument)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	commands := 0
	for i, part := range strings.Split(string(text), "```console\n") {
		if i == 0 {
			out.WriteString(part)
			continue
		}
		shown, rest, _ := strings.Cut(part, "```")
		printed := new(strings.Builder)
		for line := range strings.Lines(shown) {
			if command, ok := strings.CutPrefix(line, "$ eventhubs "); ok {
				commands++
				printed.WriteString(line + runForDocument(t, server, strings.Fields(command)))
			}
		}
		if varying.ReplaceAllString(shown, "N") != varying.ReplaceAllString(printed.String(), "N") && !*update {
			t.Errorf("%s shows\n%s\nand the program prints (write it with -update)\n%s", cliDocument, shown, printed)
		}
		out.WriteString("```console\n" + printed.String() + "```" + rest)
	}
	if commands < 10 {
		t.Errorf("%d commands were found: is this the document?", commands)
	}
	if *update {
		if err := os.WriteFile(cliDocument, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runForDocument returns the output of a command, as on a terminal.
func runForDocument(t *testing.T, server *emulator.Server, args []string) string {
	t.Helper()
	p := program{env: map[string]string{}}
	// The commands with earthquakes show the emulator inside the command.
	if !strings.Contains(strings.Join(args, " "), "earthquakes") {
		for _, name := range []string{connectionEnv, fromNames.variable, toNames.variable} {
			p.env[name] = server.ConnectionString("")
		}
	}
	var stdout, stderr bytes.Buffer
	p.process(&stdout, &stderr).run(t.Context(), args)
	return stdout.String() + stderr.String()
}

// shownCommand matches a command line in a document. It ends at the end of the line, at the end of
// the code, or at the next command.
var shownCommand = regexp.MustCompile("\\beventhubs (publish|tail|copy|check|emulator|journal|plan|completion|version)\\b([^`|\n]*)")

var shownOption = regexp.MustCompile(`\B--([a-z-]+)`)

func TestTheDocumentsShowOnlyOptionsThatThereAre(t *testing.T) {
	known := map[string][]string{}
	for _, c := range commands() {
		for _, o := range c.completed().Options {
			known[c.name] = append(known[c.name], o.Name)
		}
	}
	found := 0
	for _, name := range []string{"README.md", "SECURITY.md", "docs/cli.md", "docs/emulator.md", "docs/journal.md", "docs/operations.md", "docs/wire.md", "examples/ci/github-actions.yml", "examples/javascript/package.json", "cmd/eventhubs/Dockerfile"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shownCommand.FindAllStringSubmatch(string(text), -1) {
			for _, o := range shownOption.FindAllStringSubmatch(m[2], -1) {
				found++
				if !slices.Contains(known[m[1]], o[1]) {
					t.Errorf("%s shows eventhubs %s%s: there is no --%s", name, m[1], m[2], o[1])
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("%d options were found: are these the documents?", found)
	}
}
