package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// Each relative link of a document leads to a file or folder, and its anchor to a heading there.
func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	anchors, links := map[string][]string{}, 0
	anchorsOf := func(path string) []string {
		if _, known := anchors[path]; !known {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			anchors[path] = headings(string(text))
		}
		return anchors[path]
	}
	for _, path := range filesOf(t, ".md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range relativeLinks(string(text)) {
			links++
			name, anchor, anchored := strings.Cut(link, "#")
			file := path
			if name != "" {
				file = filepath.Join(filepath.Dir(path), name)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", path, link, err)
			} else if anchored && filepath.Ext(file) == ".md" && !slices.Contains(anchorsOf(file), anchor) {
				t.Errorf("%s links to %s: %s has no such heading", path, link, file)
			}
		}
	}
	if links < 100 {
		t.Errorf("Only %d relative links were found: the documents have more.", links)
	}
}

func TestHeadingsHaveTheAnchorsOfGitHub(t *testing.T) {
	text := "# From .NET's `EventHubClient`\n\n## Order, kept\n\n```\n# no heading\n```\n## Order, kept\n### [A link](x.md): after\n## pre-built MAX_SIZE\n"
	got := headings(text)
	if want := []string{"from-nets-eventhubclient", "order-kept", "order-kept-1", "a-link-after", "pre-built-max_size"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = relativeLinks("[a](b.md) and [`c`](d.md#e), [f](https://g), `[h](i.md)`\n```\n[j](k.md)\n```\n[l](#m)\n")
	if want := []string{"b.md", "d.md#e", "#m"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	label   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	place   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// headings returns the anchors of a document's headings, as GitHub makes them.
func headings(text string) (anchors []string) {
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(withoutFences(text), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, label.ReplaceAllString(m[1], "$1"))
		if n := seen[anchor]; n > 0 {
			anchors = append(anchors, anchor+"-"+strconv.Itoa(n))
		} else {
			anchors = append(anchors, anchor)
		}
		seen[anchor]++
	}
	return anchors
}

// relativeLinks returns the targets of a document's links, except those in code and those to the
// web.
func relativeLinks(text string) (targets []string) {
	// This drops the code of a link whose text is code.
	text = regexp.MustCompile("\\[`([^`\n]*)`\\]").ReplaceAllString(withoutFences(text), "[]")
	for _, m := range place.FindAllStringSubmatch(span.ReplaceAllString(text, ""), -1) {
		if !strings.Contains(m[1], ":") {
			targets = append(targets, m[1])
		}
	}
	return targets
}

// withoutFences drops code blocks.
func withoutFences(text string) string {
	var kept strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if fence.MatchString(line) {
			fenced = !fenced
		} else if !fenced {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
