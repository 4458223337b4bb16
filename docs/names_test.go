package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A document names the test that proves a claim. If that test does not exist, nothing proves the
// claim.
func TestTheDocumentsNameTestsThatExist(t *testing.T) {
	files := filesOf(t, ".md")
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

// namesIn returns the tests that a document names, except those in its code examples.
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
	for _, path := range filesOf(t, ".go") {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = true
		}
	}
	return names
}
