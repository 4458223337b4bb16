package connectionstring

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A part is one keyword with its value, both without what stands around them.
type part struct {
	keyword, value string
}

// quotes are the marks that may stand around something, each with the one that closes it. Word processors and chats change the plain ones into others.
var quotes = map[rune]rune{'"': '"', '\'': '\'', '`': '`', '“': '”', '‘': '’', '„': '“', '«': '»'}

// isQuote reports whether a character is a quotation mark of whatever kind.
func isQuote(r rune) bool { return strings.ContainsRune("\"'`“”‘’„«»", r) }

// isBlank reports whether a character is white space, or one that nobody sees: a byte order mark, a zero-width space, a control character.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)
}

func trimBlank(text string) string { return strings.TrimFunc(text, isBlank) }

// unwrap takes off what stands around a whole connection string: blanks, empty parts, quotation marks.
func unwrap(text string) string {
	for {
		text = strings.TrimFunc(text, func(r rune) bool { return isBlank(r) || r == ';' })
		inner, closing, ok := quoted(text)
		if !ok {
			return text
		}
		// Marks around the first keyword are no marks around the whole.
		if end := strings.IndexRune(inner, closing); end >= 0 && end < strings.IndexByte(inner, '=') && trimBlank(inner[:end]) != "" {
			return text
		}
		text = inner
	}
}

// quoted returns what is between the quotation marks with which a text begins and ends.
func quoted(text string) (inner string, closing rune, ok bool) {
	first, n := utf8.DecodeRuneInString(text)
	last, m := utf8.DecodeLastRuneInString(text)
	closing, ok = quotes[first]
	if !ok || last != closing || len(text) < n+m {
		return "", 0, false
	}
	return text[n : len(text)-m], closing, true
}

// clean takes off what stands around a keyword or a value: blanks and quotation marks. Between plain marks a doubled one stands for one.
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

// split takes a connection string apart. A semicolon ends a part unless it stands between quotation marks; so does a line's end in front of a keyword.
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

// partLength is where the first part of a text ends, and whether every quotation mark that is opened in it is closed too.
func partLength(text string) (n int, closed bool) {
	var closing rune // of the marks that are open
	opens := true    // whether a mark may be opened here: in front of a keyword and in front of a value
	equals := false  // an equals sign was met
	for i, r := range text {
		switch {
		case closing != 0:
			if r == closing {
				closing, opens = 0, quotes[r] == r // a plain one that is doubled opens them again at once
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
