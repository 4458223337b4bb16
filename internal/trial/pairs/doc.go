// Package pairs runs a producer with each pair of options, and judges each run.
package pairs
