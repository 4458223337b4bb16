package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// filesOf replaces each directory among names by the files in it, in the order of their names. It
// leaves out directories within, and names that begin with a dot; a note says how many. It also
// leaves out the file of --resume, which is no input.
func filesOf(names []string, resume string) (files, notes []string, err error) {
	for _, name := range names {
		if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
			files = append(files, name) // a later step says that it is not there
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, nil, badInput("%w", withoutCall(err))
		}
		found, folders, hidden := 0, 0, 0
		for _, e := range entries {
			path := filepath.Join(name, e.Name())
			switch {
			case resume != "" && absolute(path) == absolute(resume):
			case strings.HasPrefix(e.Name(), "."):
				hidden++
			case isFolder(path, e):
				folders++
			default:
				files = append(files, path)
				found++
			}
		}
		if found == 0 {
			return nil, nil, badInput("the directory %s has no file%s; give files", name, leftOut(folders, hidden))
		}
		if folders+hidden > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s%s", name, counted(found, "file", "files"), leftOut(folders, hidden)))
		}
	}
	return files, notes, nil
}

// isFolder reports whether an entry of a directory is, or leads to, a directory.
func isFolder(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// leftOut says what of a directory is left out.
func leftOut(folders, hidden int) string {
	var parts []string
	if folders > 0 {
		parts = append(parts, counted(folders, "directory", "directories"))
	}
	if hidden > 0 {
		parts = append(parts, counted(hidden, "name that begins with a dot", "names that begin with a dot"))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (left out: " + strings.Join(parts, ", ") + ")"
}
