// Package quakes opens the examples' data: a week's earthquakes, one line of JSON for each.
package quakes

import (
	"errors"
	"os"
)

// Open opens the data. The program must run in the repository's folder or in an example's.
func Open() (*os.File, error) {
	file, err := os.Open("examples/data/earthquakes.ndjson")
	if errors.Is(err, os.ErrNotExist) {
		file, err = os.Open("../data/earthquakes.ndjson")
	}
	return file, err
}
