package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	widest  = 100 // columns of a line of prose
	longest = 25  // words of a sentence
)

// The documents keep two rules of CONTRIBUTING that a machine can check. Tables, code, links,
// headings and generated blocks have no limit.
func TestSentencesAreShortAndLinesNarrow(t *testing.T) {
	sentences := 0
	for _, path := range filesOf(t, ".md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paragraphs(string(text)) {
			for i, line := range p.lines {
				if n := utf8.RuneCountInString(line); n > widest && !onlyALink(line) {
					t.Errorf("%s:%d has %d columns: wrap at %d", path, p.first+i, n, widest)
				}
			}
			for _, s := range p.sentences() {
				sentences++
				if n := words(s); n > longest {
					t.Errorf("%s:%d: this sentence has %d words, at most %d are allowed: %s", path, p.first, n, longest, s)
				}
			}
		}
	}
	if sentences < 1000 {
		t.Errorf("Only %d sentences were found: the documents have more.", sentences)
	}
}

func TestTheProseRulesFindWhatBreaksThem(t *testing.T) {
	of := func(n int) string { return strings.Repeat("word ", n-1) + "word." }
	for _, c := range []struct {
		name, text string
		want       []int // words of each sentence
	}{
		{"two sentences", "The producer batches. It sends\nthem.\n", []int{3, 3}},
		{"a long one", of(26) + "\n", []int{26}},
		{"a code span is one word", "Set `Options.MaxBytes = 1 << 20` first.\n", []int{3}},
		{"a link is its text", "See [the guarantees](docs/guarantees.md#order) for more.\n", []int{5}},
		{"a heading", "# " + of(30) + "\n", nil},
		{"a table", "| " + of(30) + " |\n", nil},
		{"code", "```\n" + of(30) + "\n```\n\n    " + of(30) + "\n    " + of(30) + "\n\n    " + of(30) + "\n", nil},
		{"a generated block", "<!-- Made by go test -update -->\n" + of(30) + "\n<!-- The end of the table. -->\n", nil},
		{"a list", "Three things:\n\n- one thing\n  goes on\n- another\n", []int{2, 4, 1}},
		{"a dot within a word", "Version 1.26 of go.mod is read. Then e.g. this.\n", []int{6, 3}},
	} {
		var got []int
		for _, p := range paragraphs(c.text) {
			for _, s := range p.sentences() {
				got = append(got, words(s))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: the sentences have %v words, want %v", c.name, got, c.want)
		}
	}
}

// A paragraph is consecutive lines of prose. A list item is one too.
type paragraph struct {
	first int // line
	lines []string
}

var (
	item   = regexp.MustCompile(`^\s*([-*+]|\d+[.)])\s+`)
	fence  = regexp.MustCompile("^\\s*(```|~~~)")
	markup = regexp.MustCompile(`^\s*(#|\||<|\[[^\]]+\]:|!\[)`)
)

// paragraphs returns a document's prose.
func paragraphs(text string) (ps []paragraph) {
	var p paragraph
	end := func() {
		if len(p.lines) > 0 {
			ps = append(ps, p)
		}
		p = paragraph{}
	}
	fenced, generated, listed, indented, blank := false, false, false, false, true
	for i, line := range strings.Split(text, "\n") {
		switch {
		case fence.MatchString(line):
			fenced = !fenced
			end()
		case fenced:
		case strings.HasPrefix(line, "<!--") && strings.Contains(line, "-update"):
			generated = true
			end()
		case strings.HasPrefix(line, "<!-- The end"):
			generated = false
		case generated:
		case strings.TrimSpace(line) == "":
			end()
		case markup.MatchString(line):
			listed = false
			end()
		case (blank || indented) && !listed && strings.HasPrefix(line, "    "): // code
			indented = true
		case item.MatchString(line):
			end()
			listed, indented = true, false
			p = paragraph{first: i + 1, lines: []string{line}}
		default:
			indented = false
			if len(p.lines) == 0 {
				if p.first = i + 1; line[0] != ' ' {
					listed = false
				}
			}
			p.lines = append(p.lines, line)
		}
		blank = strings.TrimSpace(line) == ""
	}
	end()
	return ps
}

var (
	span     = regexp.MustCompile("``[^`]+(`[^`]+)*``|`[^`]*`")
	target   = regexp.MustCompile(`\]\([^)]*\)`)
	boundary = regexp.MustCompile(`([.!?][)"*_]*)\s+([A-Z0-9("\[*_\x00])`)
)

// sentences returns a paragraph's sentences, each code span in them as CODE.
func (p paragraph) sentences() (list []string) {
	text := item.ReplaceAllString(strings.Join(p.lines, " "), "")
	text = target.ReplaceAllString(text, "]")
	text = span.ReplaceAllString(text, "CODE")
	for s := range strings.SplitSeq(boundary.ReplaceAllString(text, "$1\x01$2"), "\x01") {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// words counts the words that have a letter or a digit.
func words(sentence string) (n int) {
	for w := range strings.FieldsSeq(sentence) {
		if strings.ContainsFunc(w, func(r rune) bool {
			return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r > 127 && r != '–' && r != '·' && r != '→'
		}) {
			n++
		}
	}
	return n
}

// onlyALink reports whether a line is too wide only because of a word that cannot be wrapped.
func onlyALink(line string) bool {
	for w := range strings.FieldsSeq(line) {
		if utf8.RuneCountInString(w) > widest/2 {
			return true
		}
	}
	return false
}
