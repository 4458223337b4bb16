package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// newResume keeps the place in the input in the file of --resume. It returns nil without --resume.
func newResume(opts *publishOptions) *placeKeeper[checkpoint] {
	if opts.resume == "" {
		return nil
	}
	return &placeKeeper[checkpoint]{parts: []places[checkpoint]{{most: stretchEvents}}, write: func(parts []places[checkpoint]) error {
		p := &parts[0].place
		text, err := json.Marshal(savedPlace{p.name, p.line, p.offset, p.size, p.length, p.last, p.head, p.before})
		if err != nil {
			return err
		}
		return replaceFile(opts.resume, append(text, '\n'))
	}}
}

// A savedPlace is the content of the file.
type savedPlace struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	Length int64  `json:"lastLength"`
	Last   uint32 `json:"lastSum"`
	Head   uint32 `json:"headSum"`
	Before uint32 `json:"filesBeforeSum,omitempty"`
}

// loadPlace reads the file, and finds out if it can be written. It returns nil if no run has
// published anything.
func loadPlace(name string) (*checkpoint, error) {
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = nil
	case err != nil:
		return nil, badInput("--resume: %w", withoutCall(err))
	}
	var from *checkpoint
	if len(text) > 0 {
		var p savedPlace
		if err := json.Unmarshal(text, &p); err != nil || p.File == "" || p.Offset < p.Length || p.Length < 0 || p.Line < 0 {
			return nil, badInput("--resume: %s is no file that this option has written; give the name of a new file", name)
		}
		from = &checkpoint{name: p.File, before: p.Before, size: p.Size, line: p.Line, trail: trail{offset: p.Offset, head: p.Head, last: p.Last, length: p.Length}}
	}
	if err := replaceFile(name, text); err != nil {
		return nil, badInput("--resume: %w", withoutCall(err))
	}
	return from, nil
}

// replaceFile replaces a file. A run that is killed leaves the old one or the new one.
func replaceFile(name string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
