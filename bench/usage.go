package main

import (
	"runtime"
	"time"
)

// A usage is what this process has used since its start.
type usage struct {
	at      time.Time
	cpu     time.Duration // user and system
	mallocs uint64
	bytes   uint64 // allocated
}

func usageNow() (usage, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	cpu, err := processTime()
	return usage{at: time.Now(), cpu: cpu, mallocs: m.Mallocs, bytes: m.TotalAlloc}, err
}
