package emulatorhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// maxBody is the largest body of a request in bytes, except one that sends an event.
const maxBody = 64 << 10

// errorJSON is the answer to a request that fails.
type errorJSON struct {
	Error string `json:"error"`
	// Field is the wrong field of the request, or of its fault rule.
	Field string `json:"field,omitempty"`
	// Value of that field.
	Value string `json:"value,omitempty"`
}

// A badRequest is a request that cannot be performed.
type badRequest struct {
	status int
	errorJSON
}

func (b *badRequest) Error() string { return b.errorJSON.Error }

// refuse makes a badRequest. field is the wrong field of the body; empty if none.
func refuse(status int, field, format string, args ...any) *badRequest {
	return &badRequest{status, errorJSON{Error: fmt.Sprintf(format, args...), Field: field}}
}

// change makes a handler of a function that changes the server. It answers with the function's
// result and status, or with its error. It refuses requests that a page of another site could make
// a browser send, and bodies of more than limit bytes.
func (h *handler) change(limit int64, perform func(*http.Request) (status int, result any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h.mayChange(r)
		var status int
		var result any
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			status, result, err = perform(r)
		}
		if err == nil {
			answer(w, status, result)
			return
		}
		answerError(w, err)
	}
}

// answerError answers with an error of a request.
func answerError(w http.ResponseWriter, err error) {
	bad, ok := errors.AsType[*badRequest](err)
	if !ok {
		bad = refuse(http.StatusInternalServerError, "", "%s", plain(err))
	}
	answer(w, bad.status, bad.errorJSON)
}

// mayChange reports why a request may not change the server; nil means that it may.
func (h *handler) mayChange(r *http.Request) error {
	if err := h.crossOrigin.Check(r); err != nil {
		return refuse(http.StatusForbidden, "", "the request comes from a page of another origin, which may change nothing here")
	}
	if h.options.ReadOnly {
		return refuse(http.StatusForbidden, "", "this server answers questions only (Options.ReadOnly)")
	}
	return nil
}

// readBody reads a JSON object into the fields by their names. It refuses all other fields.
func readBody(r *http.Request, fields map[string]any) error {
	// A form of another site cannot have this type.
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "", "the content type is %q: send the header Content-Type: application/json", r.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return refuse(http.StatusRequestEntityTooLarge, "", "the body is too large: send at most %d bytes", tooLarge.Limit)
		}
		return refuse(http.StatusBadRequest, "", "the body cannot be read: %v", err)
	}
	names := slices.Sorted(maps.Keys(fields))
	var body map[string]json.RawMessage
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return refuse(http.StatusBadRequest, "", "the body is no JSON object: send one with the fields %s", strings.Join(names, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		target, known := fields[name]
		if !known {
			return refuse(http.StatusBadRequest, cut(name, maxName), "there is no field %s: send %s", cut(name, maxName), strings.Join(names, ", "))
		}
		if err := json.Unmarshal(body[name], target); err != nil {
			bad := refuse(http.StatusBadRequest, name, "%s is %s: want %s", name, cut(string(body[name]), maxName), wanted(target))
			bad.Value = cut(string(body[name]), maxName)
			return bad
		}
	}
	return nil
}

// wanted describes the JSON of a field.
func wanted(target any) string {
	switch target.(type) {
	case *string, **string:
		return "a string"
	case *int, **int:
		return "a whole number"
	case *bool, **bool:
		return "true or false"
	case **[]byte:
		return "bytes in base64"
	case *map[string]json.RawMessage:
		return "an object"
	default:
		return "an array of strings"
	}
}

// plain is an error's text without the name of the package that made it.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "emulator: ") }
