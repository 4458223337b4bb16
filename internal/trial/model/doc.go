// Package model runs producers at random over an emulator that fails, and compares the results with
// the guarantees.
package model
