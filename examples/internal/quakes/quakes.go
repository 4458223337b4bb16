// Package quakes opens the data of the examples: the earthquakes of a week, a line of JSON each.
package quakes

import (
	"errors"
	"os"
)

// Open opens them, in a program that runs in the repository's folder or in one of an example.
func Open() (*os.File, error) {
	file, err := os.Open("examples/data/earthquakes.ndjson")
	if errors.Is(err, os.ErrNotExist) {
		file, err = os.Open("../data/earthquakes.ndjson")
	}
	return file, err
}
