package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A readyFile is the file of --ready-file. It appears when clients can connect, and goes away at
// the end. It has the environment variables for clients, NAME=value, each in a line. A nil one does
// nothing.
type readyFile struct {
	name      string
	temporary *os.File // becomes the file; nil after write and close
	content   string   // of the file; empty while it does not exist
}

// openReadyFile removes the file of a killed emulator, since a script would take that for this
// one's. It fails if the file could not be written later.
func openReadyFile(name string) (*readyFile, error) {
	if name == "" {
		return nil, nil
	}
	left, err := leftReadyFile(name)
	if err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		if cause, ok := errors.AsType[*fs.PathError](err); ok {
			err = cause.Err // without the temporary name
		}
		return nil, fmt.Errorf("--ready-file %s cannot be written: %w", name, err)
	}
	r := &readyFile{name: name, temporary: temporary}
	if left {
		err = os.Remove(name)
	}
	if err := errors.Join(err, temporary.Chmod(0o644)); err != nil {
		return nil, errors.Join(fmt.Errorf("--ready-file: %w", err), r.close())
	}
	return r, nil
}

// leftReadyFile reports whether there is the file of an earlier emulator, or an empty one, as
// mktemp makes it. It refuses a file of another kind, which the user may want to keep.
func leftReadyFile(name string) (bool, error) {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("--ready-file: %w", err)
	case !info.Mode().IsRegular():
		return false, badInput("--ready-file %s is a directory, a link or a device; give the name of a file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return false, fmt.Errorf("--ready-file: %w", err)
	}
	defer file.Close()
	begin, err := io.ReadAll(io.LimitReader(file, int64(len(readyStart))))
	if err != nil {
		return false, fmt.Errorf("--ready-file: %w", err)
	}
	if len(begin) > 0 && string(begin) != readyStart {
		return false, badInput("--ready-file %s exists and is no emulator's; give another name, or delete it", name)
	}
	return true, nil
}

// readyStart begins every ready file.
const readyStart = connectionEnv + "="

// write makes the file appear, complete.
func (r *readyFile) write(variables []string) error {
	if r == nil {
		return nil
	}
	content := strings.Join(variables, "\n") + "\n"
	_, err := io.WriteString(r.temporary, content)
	if err := errors.Join(err, r.temporary.Close()); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	if err := os.Rename(r.temporary.Name(), r.name); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	r.temporary, r.content = nil, content
	return nil
}

// close removes the file, unless it has become another program's. Further calls do nothing.
func (r *readyFile) close() error {
	if r == nil {
		return nil
	}
	if r.temporary != nil {
		_ = r.temporary.Close() // maybe the second time
		err := os.Remove(r.temporary.Name())
		r.temporary = nil
		return err
	}
	content := r.content
	r.content = ""
	if content == "" {
		return nil
	}
	now, err := os.ReadFile(r.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(now) != content {
		return nil
	}
	if err := errors.Join(err, os.Remove(r.name)); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	return nil
}
