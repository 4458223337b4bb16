package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

const (
	routedKeys = 1000
	// A prime, so that the low bits of the hash alone choose no partition.
	routedPartitions = 31
)

// partitionKeys returns the keys of the check "key routing": always the same ones, from 1 to 40
// characters long. Half of them are ASCII only. The characters of the others take up to 4 bytes.
func partitionKeys() []string {
	alphabet := []rune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:/ äéßøЖя東京都😀🚀")
	ascii := slices.IndexFunc(alphabet, func(r rune) bool { return r > 127 })
	random := rand.New(rand.NewPCG(2009, 11))
	keys := make([]string, 0, routedKeys)
	for known := map[string]bool{}; len(keys) < routedKeys; {
		key := make([]rune, 1+random.IntN(40))
		letters := alphabet
		if len(keys)%2 == 0 {
			letters = alphabet[:ascii]
		}
		for i := range key {
			key[i] = letters[random.IntN(len(letters))]
		}
		if !known[string(key)] {
			known[string(key)] = true
			keys = append(keys, string(key))
		}
	}
	return keys
}

// partitionOf returns the partition that this project's own hash chooses.
func partitionOf(key string, partitions int) string {
	return strconv.Itoa(partitionkey.Index(key, partitions))
}

// pythonRoutes returns the partition that Azure's client for Python computes in its buffered mode.
// For a negative hash it uses the remainder of Python's operator, not the magnitude. Its hash is
// over characters instead of bytes, so it is known only for ASCII.
func pythonRoutes(key string, partitions int) (partition string, known bool) {
	index := int(partitionkey.Hash(key)) % partitions
	if index < 0 {
		index += partitions
	}
	return strconv.Itoa(index), isASCII(key)
}

// javaRoutes returns the partition that Azure's client for Java computes. It treats the last bytes
// of a key, up to 12, as signed.
func javaRoutes(key string, partitions int) (partition string, known bool) {
	return partitionOf(key, partitions), isASCII(key)
}

func isASCII(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return r > 127 })
}
