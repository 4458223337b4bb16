//go:build race

package journal_test

// stride is how many cases a test of all cases goes on by. The race detector sees the same code in
// each, and makes it ten times as slow: CI also runs these tests without it.
const stride = 7
