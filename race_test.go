//go:build race

package eventhubs_test

const raceEnabled = true
