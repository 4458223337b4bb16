// Package memorylimit finds how much memory this process may use.
package memorylimit

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
)

// fallback is assumed where the system names no limit and its memory is unknown.
const fallback = 1 << 30

// Find returns the smallest limit in bytes that applies to this process: of its cgroup, of
// GOMEMLIMIT, or the machine's memory. The first call reads the system's files; later calls only
// ask the runtime.
func Find() int64 { return known(lower(system(), debug.SetMemoryLimit(-1))) }

// system is the limit that the system sets. It does not change while the process runs.
var system = sync.OnceValue(func() int64 { return lower(cgroup(os.DirFS("/")), machine()) })

// known is the limit, or the fallback for none. The runtime says math.MaxInt64 without GOMEMLIMIT.
func known(limit int64) int64 {
	if limit == 0 || limit == math.MaxInt64 {
		return fallback
	}
	return limit
}

// lower returns the smaller of two limits, of which 0 or less is none; 0: both are none.
func lower(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}
