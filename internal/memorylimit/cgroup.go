package memorylimit

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cgroup returns the smallest limit of the cgroups that this process is in, in bytes; 0: none. The
// files are below root, which is empty on systems without cgroups.
//
// The kernel applies the limit of a group and of each group above it. A container may see only a
// part of the tree, with its own group at the top. So missing folders say nothing.
func cgroup(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(text)) {
		// hierarchy-ID:controller-list:cgroup-path
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		switch {
		case fields[0] == "0" && fields[1] == "": // version 2
			for _, base := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
				least = lower(least, above(root, base, fields[2], "memory.max"))
				least = lower(least, above(root, base, fields[2], "memory.high"))
			}
		case slices.Contains(strings.Split(fields[1], ","), "memory"): // version 1
			least = lower(least, above(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	return least
}

// above returns the smallest number in the files of that name in a group and all groups above it.
func above(root fs.FS, base, group, file string) int64 {
	least := int64(0)
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		if text, err := fs.ReadFile(root, path.Join(base, at, file)); err == nil {
			// "max" means no limit. Version 1 has a number near the largest one for that.
			n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			least = lower(least, n)
		}
		if at == "/" {
			return least
		}
	}
}
