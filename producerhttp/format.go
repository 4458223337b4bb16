package producerhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// A format is a form of the answer.
type format int

const (
	asText format = iota
	asHTML
	asJSON
)

// formats are the words of the parameter, and the media types, in the order of preference.
var formats = [...]struct{ word, kind string }{asText: {"text", "text/plain"}, asHTML: {"html", "text/html"}, asJSON: {"json", "application/json"}}

// formatOf returns the form that a request asks for: by its parameter, or by its Accept headers.
func formatOf(word string, accept []string) (format, error) {
	for f, known := range formats {
		if word == known.word {
			return format(f), nil
		}
	}
	if word == "" {
		return accepted(accept), nil
	}
	return accepted(accept), fmt.Errorf("format is %q: it must be html, text or json", word)
}

// accepted returns the form that an Accept header prefers: the one with the highest quality. Of
// equal ones it is the one that is named more exactly, and then the one that is named first. A
// client that takes none of them gets text.
func accepted(accept []string) (best format) {
	type rank struct {
		quality           float64
		exactness, before int
	}
	better := func(a, b rank) bool {
		if a.quality != b.quality {
			return a.quality > b.quality
		}
		if a.exactness != b.exactness {
			return a.exactness > b.exactness
		}
		return a.before > b.before
	}
	ranges := strings.Split(strings.Join(accept, ","), ",")
	var most rank
	for f, known := range formats {
		major, _, _ := strings.Cut(known.kind, "/")
		mine := rank{exactness: -1}
		for i, text := range ranges {
			kind, parameters, err := mime.ParseMediaType(text)
			exactness := map[string]int{known.kind: 2, major + "/*": 1, "*/*": 0}
			exact, matches := exactness[kind]
			if err != nil || !matches || exact <= mine.exactness {
				continue
			}
			mine = rank{quality(parameters["q"]), exact, -i} // the most exact range decides
		}
		if mine.quality > 0 && better(mine, most) {
			best, most = format(f), mine
		}
	}
	return best
}

// quality reads the q of a media range: 1 without one, and 0 if it makes no sense.
func quality(text string) float64 {
	if text == "" {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// answer writes a report.
func (f format) answer(w http.ResponseWriter, r *report) {
	var b bytes.Buffer
	var err error
	switch f {
	case asHTML:
		err = r.writeHTML(&b)
	case asJSON:
		var text []byte
		text, err = json.Marshal(r)
		b.Write(append(text, '\n'))
	default:
		err = r.writeText(&b)
	}
	if err != nil { // then nothing has been written
		f.fail(w, http.StatusInternalServerError, "the answer cannot be written: "+err.Error())
		return
	}
	f.write(w, http.StatusOK, b.Bytes())
}

// fail writes an error: as JSON or as text.
func (f format) fail(w http.ResponseWriter, status int, text string) {
	if f == asJSON {
		b, _ := json.Marshal(map[string]string{"error": text}) // a string always has JSON
		f.write(w, status, append(b, '\n'))
		return
	}
	asText.write(w, status, []byte(oneLine(text)+"\n"))
}

// write writes an answer. It ignores an error of the network, which means that the client is gone.
func (f format) write(w http.ResponseWriter, status int, body []byte) {
	kind := formats[f].kind
	if f != asJSON {
		kind += "; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
