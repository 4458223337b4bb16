package docs_test

import (
	"os"
	"strings"
	"testing"
)

// The document shows the examples as they are.
func TestTheFaultsDocumentShowsTheExamples(t *testing.T) {
	text, err := os.ReadFile("faults.md")
	if err != nil {
		t.Fatal(err)
	}
	for path, language := range map[string]string{"../examples/faults/test_faults.py": "python", "../examples/faults/faults.test.mjs": "js"} {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\n```"+language+"\n"+string(code)+"```\n") {
			t.Errorf("faults.md does not show %s as it is: copy it", path)
		}
	}
}
