package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// The tables of the documents name the versions that the clients' files pin.
func TestTheDocumentsNameThePinnedVersions(t *testing.T) {
	pins := map[string]struct{ file, pattern string }{
		"go":          {"go.mod", `/azeventhubs/v2 v(\S+)`},
		"javascript":  {"clients/javascript/package.json", `"@azure/event-hubs": "(.+)"`},
		"python":      {"clients/python/requirements.txt", `\nazure-eventhub==(\S+)`},
		"java":        {"clients/java/pom.xml", `<artifactId>azure-messaging-eventhubs</artifactId>\s+<version>(.+)</version>`},
		"rust":        {"clients/rust/Cargo.toml", `\nazure_messaging_eventhubs = "=(.+)"`},
		"java-legacy": {"clients/java-legacy/pom.xml", `<artifactId>azure-eventhubs</artifactId>\s+<version>(.+)</version>`},
	}
	versions := make(map[string]string)
	for name, pin := range pins {
		versions[name] = submatch(t, pin.file, pin.pattern)
	}
	var err error
	if versions["dotnet"], _, err = setup.AboutDotNet(); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if c.title+" "+versions[c.name] != submatch(t, "../docs/emulator.md", `\n\| \|(?:.* \|)? (`+regexp.QuoteMeta(c.title)+` [\d.]+)[ ,].*\n\|---`) {
			t.Errorf("docs/emulator.md: the table of clients does not name %s %s", c.title, versions[c.name])
		}
	}
	for _, s := range sufferers {
		if s.name != "ours" && s.title+" "+versions[s.name] != submatch(t, faultDocument, `\n\| \|(?:.* \|)? (`+regexp.QuoteMeta(s.title)+` [\d.]+) \|.*\n\|---`) {
			t.Errorf("docs/faults.md: the tables do not name %s %s", s.title, versions[s.name])
		}
	}
}

// submatch returns what the first group of a pattern matches in a file.
func submatch(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has nothing like %s", file, pattern)
	}
	return string(found[1])
}
