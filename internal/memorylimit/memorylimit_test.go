package memorylimit

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestTheSmallestLimitOfTheCgroupsCounts(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups":             {nil, 0},
		"version 2, in the root": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 536870912},
		"version 2, no limit":    {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 2, the group above has less": {map[string]string{
			"proc/self/cgroup": "0::/pod/container\n", "sys/fs/cgroup/pod/container/memory.max": "2000\n", "sys/fs/cgroup/pod/memory.max": "1000\n",
		}, 1000},
		"version 2, the group has less": {map[string]string{
			"proc/self/cgroup": "0::/pod/container\n", "sys/fs/cgroup/pod/container/memory.max": "500\n", "sys/fs/cgroup/pod/memory.max": "1000\n",
		}, 500},
		"version 2, the kernel slows down earlier": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "2000\n", "sys/fs/cgroup/a/memory.high": "1500\n",
		}, 1500},
		"version 2, the container sees its group at the top": {map[string]string{
			"proc/self/cgroup": "0::/docker/0123\n", "sys/fs/cgroup/memory.max": "700\n",
		}, 700},
		"version 2, a path that leads out of the namespace": {map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/memory.max": "700\n",
		}, 700},
		"version 1": {map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/0123\n0::/\n", "sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes": "3000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 3000},
		"both versions": {map[string]string{
			"proc/self/cgroup": "5:memory:/a\n0::/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3000\n", "sys/fs/cgroup/unified/a/memory.max": "2000",
		}, 2000},
		"nonsense": {map[string]string{"proc/self/cgroup": "0\n::\n0::/\n", "sys/fs/cgroup/memory.max": "-7 x\n"}, 0},
	} {
		root := fstest.MapFS{}
		for file, text := range test.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := cgroup(root); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

func TestTheSmallestKnownLimitCounts(t *testing.T) {
	for _, test := range []struct{ a, b, want int64 }{
		{100, 50, 50}, {50, 100, 50}, {0, 70, 70}, {70, 0, 70}, {-1, 70, 70}, {70, math.MaxInt64, 70}, {0, math.MaxInt64, fallback}, {0, 0, fallback},
	} {
		if got := known(lower(test.a, test.b)); got != test.want {
			t.Errorf("of %d and %d: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestTheRuntimesLimitCounts(t *testing.T) {
	if got := Find(); got < 16<<20 || runtime.GOOS == "linux" && machine() == 0 {
		t.Errorf("this process may use %d bytes of a machine with %d", got, machine())
	}
	before := debug.SetMemoryLimit(8 << 20)
	got := Find()
	debug.SetMemoryLimit(before)
	if got != 8<<20 {
		t.Errorf("with a limit of 8 MiB: got %d", got)
	}
}
