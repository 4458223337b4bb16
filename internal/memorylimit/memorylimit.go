// Package memorylimit finds how much memory this process may use.
package memorylimit

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
)

// A Limit is a number of bytes and what sets it, in words.
type Limit struct {
	Bytes int64
	By    string
}

// fallback is assumed where the system names no limit and its memory is unknown.
var fallback = Limit{1 << 30, "an assumed machine"}

// Find returns the smallest limit that applies to this process: of its cgroup, of GOMEMLIMIT, or the
// machine's memory. The first call reads the system's files; later calls only ask the runtime.
func Find() Limit {
	return smallest(system(), Limit{debug.SetMemoryLimit(-1), "GOMEMLIMIT"})
}

// system is the limit that the system sets. It does not change while the process runs.
var system = sync.OnceValue(func() Limit {
	return smallest(Limit{cgroup(os.DirFS("/")), "the cgroup"}, Limit{machine(), "the machine's memory"})
})

// smallest returns the smallest of the limits that are known.
func smallest(limits ...Limit) Limit {
	least := Limit{Bytes: math.MaxInt64}
	for _, l := range limits {
		if l.Bytes > 0 && l.Bytes < least.Bytes {
			least = l
		}
	}
	if least.Bytes == math.MaxInt64 {
		return fallback
	}
	return least
}
