package main

import (
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

func TestMurmur2IsKafkas(t *testing.T) {
	// These are the vectors of Kafka's own test.
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := murmur2([]byte(key)); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartitionIsWithinTheHub(t *testing.T) {
	for key, want := range map[string]int{
		"21":     (-973932308 & 0x7fffffff) % 10, // negative hashes are masked, not negated
		"foobar": (-790332482 & 0x7fffffff) % 10,
		"abc":    479470107 % 10,
	} {
		if got := kafkaPartition(eventhubs.KeyPlacement{Key: key, Partitions: 10}); got != want {
			t.Errorf("kafkaPartition(%q, 10) = %d, want %d", key, got, want)
		}
	}
	for _, partitions := range []int{1, 2, 3, 32, 2000} {
		for i := range 1000 {
			key := string(rune('a'+i%26)) + string(rune(0x4e00+i)) // two to four bytes
			if got := kafkaPartition(eventhubs.KeyPlacement{Key: key, Partitions: partitions}); got < 0 || got >= partitions {
				t.Fatalf("kafkaPartition(%q, %d) = %d, out of range", key, partitions, got)
			}
		}
	}
}
