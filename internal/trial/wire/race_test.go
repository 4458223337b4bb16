//go:build race

package wire

// raceDetector says whether the tests run with it.
const raceDetector = true
