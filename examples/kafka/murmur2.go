package main

import (
	"encoding/binary"

	"github.com/go-eventhubs/eventhubs"
)

// kafkaPartition returns the partition that Kafka's own producers choose for a key: murmur2 without
// its sign bit, modulo the number of partitions. Use it as Options.KeyPartitioner if the program
// shares an event hub with Kafka clients, or replaces one. Otherwise leave the option alone: all
// other AMQP clients agree with the service's own hash.
func kafkaPartition(k eventhubs.KeyPlacement) int {
	return int(murmur2([]byte(k.Key))&0x7fffffff) % k.Partitions
}

// murmur2 is Austin Appleby's 32-bit MurmurHash2 over little-endian words, with Kafka's seed.
func murmur2(data []byte) int32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	if len(data) > 0 { // one to three bytes, as the low end of a word
		var tail [4]byte
		copy(tail[:], data)
		h = (h ^ binary.LittleEndian.Uint32(tail[:])) * m
	}
	h = (h ^ h>>13) * m
	return int32(h ^ h>>15)
}
