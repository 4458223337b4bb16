// Package model runs producers at random over an emulator that fails, and compares what happened with the guarantees.
package model
