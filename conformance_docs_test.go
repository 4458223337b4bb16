package eventhubs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A document that names a test says what holds a claim: a name without a test would be a claim without anything behind it.
func TestTheDocumentsNameTestsThatExist(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.Concat(files, decisions, []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"})
	tests := testNames(t)
	named := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range namesIn(string(text)) {
			named++
			if !tests[name] {
				t.Errorf("%s names %s, which no test file has", file, name)
			}
		}
	}
	if named < 100 || len(tests) < 100 {
		t.Errorf("%d names in %d documents and %d tests were found: is this the root of the repository?", named, len(files), len(tests))
	}
}

func TestNamesInExamplesOfADocumentAreNobodysTests(t *testing.T) {
	got := namesIn("`TestOne` and TestTwo.\n```go\nfunc TestThree(t *testing.T) {\n```\nFuzzFour, Tests, Testing\n")
	if want := []string{"TestOne", "TestTwo", "FuzzFour"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// namesIn returns the tests that a document names, but for those in its examples of code.
func namesIn(text string) (names []string) {
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 0 {
			names = append(names, testName.FindAllString(part, -1)...)
		}
	}
	return names
}

// testNames returns the names of all tests and fuzz targets in the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What is promised is promised of every package that a program may import: one that the page does not name would be promised to nobody.
func TestTheCompatibilityPageNamesEveryPackage(t *testing.T) {
	page := readText(t, "docs/compatibility.md")
	_, row, found := strings.Cut(page, "| Names |")
	row, _, _ = strings.Cut(row, "\n")
	if !found {
		t.Fatal("docs/compatibility.md has no row of names")
	}
	packages := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if path == "." {
			name = "eventhubs"
		} else if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(name, ".") || slices.Contains([]string{"internal", "testdata", "cmd", "examples"}, name) {
			return filepath.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(files, func(file string) bool { return !strings.HasSuffix(file, "_test.go") }) {
			return nil
		}
		if packages++; !strings.Contains(row, "`"+name+"`") {
			t.Errorf("docs/compatibility.md promises nothing of package %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 9 {
		t.Errorf("%d packages were found: is this the root of the repository?", packages)
	}
}
