package connectionstring

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A part is one keyword with its value, both without decoration.
type part struct {
	keyword, value string
}

// quotes are the marks that may surround something, each with its closing mark. Word processors and
// chats replace the plain marks with others.
var quotes = map[rune]rune{'"': '"', '\'': '\'', '`': '`', '“': '”', '‘': '’', '„': '“', '«': '»'}

// isQuote reports whether a character is any quotation mark.
func isQuote(r rune) bool { return strings.ContainsRune("\"'`“”‘’„«»", r) }

// isBlank reports whether a character is white space or invisible: a byte order mark, a zero-width
// space, a control character.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)
}

func trimBlank(text string) string { return strings.TrimFunc(text, isBlank) }

// unwrap removes the decoration of a whole connection string: blanks, empty parts, quotation marks.
func unwrap(text string) string {
	for {
		text = strings.TrimFunc(text, func(r rune) bool { return isBlank(r) || r == ';' })
		inner, closing, ok := quoted(text)
		if !ok {
			return text
		}
		// Marks around the first keyword do not surround the whole.
		if end := strings.IndexRune(inner, closing); end >= 0 && end < strings.IndexByte(inner, '=') && trimBlank(inner[:end]) != "" {
			return text
		}
		text = inner
	}
}

// quoted returns the text between the quotation marks at both ends.
func quoted(text string) (inner string, closing rune, ok bool) {
	first, n := utf8.DecodeRuneInString(text)
	last, m := utf8.DecodeLastRuneInString(text)
	closing, ok = quotes[first]
	if !ok || last != closing || len(text) < n+m {
		return "", 0, false
	}
	return text[n : len(text)-m], closing, true
}

// clean removes the decoration of a keyword or a value: blanks and quotation marks. Between plain
// marks, a doubled mark stands for one.
func clean(text string) string {
	for {
		text = trimBlank(text)
		inner, closing, ok := quoted(text)
		if !ok {
			return text
		}
		text = inner
		if quotes[closing] == closing {
			text = strings.ReplaceAll(inner, string(closing)+string(closing), string(closing))
		}
	}
}

// split splits a connection string. A semicolon ends a part unless it is between quotation marks. A
// line end before a keyword ends a part too.
func split(text string) ([]part, error) {
	var parts []part
	for text != "" {
		n, closed := partLength(text)
		if !closed {
			return nil, &Error{Reason: OpenQuote}
		}
		raw := text[:n]
		text = strings.TrimLeftFunc(text[n:], func(r rune) bool { return isBlank(r) || r == ';' })
		keyword, value, found := strings.Cut(raw, "=")
		keyword = clean(keyword)
		if !found || keyword == "" {
			return nil, &Error{Reason: Malformed}
		}
		parts = append(parts, part{keyword, clean(value)})
	}
	return parts, nil
}

// partLength is the length of the first part of a text, and whether every quotation mark in it is
// closed.
func partLength(text string) (n int, closed bool) {
	var closing rune // closes the open marks; 0 if none are open
	opens := true    // a mark may open here: before a keyword or a value
	equals := false  // an equals sign has occurred
	for i, r := range text {
		switch {
		case closing != 0:
			if r == closing {
				closing, opens = 0, quotes[r] == r // a doubled plain mark opens again at once
			}
			continue
		case opens && quotes[r] != 0:
			closing = quotes[r]
		case r == ';':
			return i, true
		case (r == '\n' || r == '\r') && equals && beginsPart(text[i:]):
			return i, true
		}
		if r == '=' && !equals {
			equals, opens = true, true
		} else if !isBlank(r) {
			opens = false
		}
	}
	return len(text), closing == 0
}

// beginsPart reports whether a text begins with a keyword, after blanks.
func beginsPart(text string) bool {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return isBlank(r) || isQuote(r) })
	for _, k := range keywords {
		if len(text) < len(k) || !strings.EqualFold(text[:len(k)], k) {
			continue
		}
		rest := strings.TrimLeftFunc(text[len(k):], func(r rune) bool { return isBlank(r) || isQuote(r) })
		if strings.HasPrefix(rest, "=") {
			return true
		}
	}
	return false
}
