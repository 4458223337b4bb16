package main

import "slices"

// journalGroups are the tables of the journal, one below the other with -rows journal.
var journalGroups = []group{
	{"journal", "A journal under the buffer, and what programs do without one", journalColumns, func(size int) []scenario {
		list := []scenario{of(ours, size), of(ours, size).with(asOne), of(ours, size).with(crowded)}
		for _, sync := range []journalSync{syncOS, syncInterval, syncEach} {
			kept := func(s *scenario) { s.Journal = sync }
			if sync != syncEach { // it would measure the fsync of the disk
				list = append(list, of(ours, size).with(kept))
			}
			list = append(list, of(ours, size).with(kept).with(asOne), of(ours, size).with(kept).with(crowded))
		}
		for _, peer := range []string{bboltOutbox, otelOutbox} {
			list = append(list, of(peer, size).with(keptByOS), of(peer, size).with(keptByOS).with(asOne),
				of(peer, size).with(keptByEach).with(asOne), of(peer, size).with(keptByEach).with(crowded))
		}
		return list
	}, func(s scenario) scenario {
		s.Peer, s.Journal = ours, noJournal
		return s
	}},
	{"journal-disk", "Callers that share an fsync, beside the raw file", waitColumns, func(size int) []scenario {
		var list []scenario
		for _, callers := range callersInGroups(size) {
			list = append(list, inGroups(rawFile, size, callers/2), inGroups(rawFile, size, callers), inGroups(ours, size, callers))
		}
		return list
	}, func(s scenario) scenario {
		if s.Peer == rawFile {
			return s
		}
		return rawOf(s)
	}},
	{"journal-backlog", "A backlog of a former process", drainColumns, func(size int) []scenario {
		return slices.Concat([]scenario{full(size)}, []scenario{backlog(size), backlog(size).with(cold)})
	}, func(s scenario) scenario { return full(s.Size) }},
}

func asOne(s *scenario)      { s.All = true }
func crowded(s *scenario)    { s.Goroutines = 64 }
func keptByOS(s *scenario)   { s.Journal = syncOS }
func keptByEach(s *scenario) { s.Journal = syncEach }
func cold(s *scenario)       { s.Cold = true }

// callersInGroups returns how many callers wait for a write and an fsync. With 64 of them, events of
// 10 KB make groups of 320 KB. Smaller events need more callers for 256 KB.
func callersInGroups(size int) []int {
	if size == 1000 {
		return []int{64, 512}
	}
	return []int{64}
}

// rawOf returns the raw file's scenario with the same groups. Half of the callers are in the group
// that is written, and the others are in the next one.
func rawOf(s scenario) scenario { return inGroups(rawFile, s.Size, s.Goroutines/2) }

func inGroups(peer string, size, callers int) scenario {
	return of(peer, size).with(keptByEach).with(func(s *scenario) { s.Kind, s.Goroutines = wait, callers })
}

func backlog(size int) scenario {
	return of(ours, size).with(keptByOS).with(func(s *scenario) { s.Kind, s.Backlog = drain, backlogBytes })
}

// journalTargets returns the figures that the journal shall reach.
func journalTargets() (list []wanted) {
	for _, how := range []func(*scenario){func(*scenario) {}, asOne, crowded} {
		for _, limit := range []struct {
			size  int
			least float64
		}{{100, 0.5}, {1000, 0.6}, {10_000, 0.6}} {
			memory := of(ours, limit.size).with(how)
			kept := memory.with(keptByOS)
			list = append(list, ratioWanted("events/s", kept, memory, eventsPerSecond, false, limit.least), ratioWanted("client CPU", kept, memory, cpuPerEvent, true, 2))
		}
	}
	for _, group := range []struct{ size, callers int }{{1000, 512}, {10_000, 64}} {
		kept := inGroups(ours, group.size, group.callers)
		raw := rawOf(kept)
		list = append(list, ratioWanted("events/s", kept, raw, eventsPerSecond, false, 0.9), wanted{
			name: "p99 of Enqueue in fsyncs (p50): " + kept.String(), scenarios: []scenario{kept, raw}, atMost: true, limit: 2.5,
			value: func(b book) (float64, bool) { return b.against(kept, p99, raw, p50) },
		})
	}
	warm, chilled := backlog(1000), backlog(1000).with(cold)
	return append(list,
		ratioWanted("events/s", warm, full(1000), eventsPerSecond, false, 0.9),
		medianWanted("opening, s", chilled, opening, true, 1),
		wanted{
			name: "memory beyond the buffer's, MB: " + chilled.String(), scenarios: []scenario{chilled, full(1000)}, atMost: true, limit: 24,
			value: func(b book) (float64, bool) {
				over, ok1 := b.median(chilled, scaled(peakBytes, 1e6))
				under, ok2 := b.median(full(1000), scaled(peakBytes, 1e6))
				return over - under, ok1 && ok2
			},
		},
		medianWanted("disk for a byte of the encoded events", warm, spaceRatio, true, 1.05))
}

// The figures of a backlog.
var (
	opening    figure = func(m *measurement) (float64, bool) { return m.Opening.Seconds(), m.Opening > 0 }
	openingRSS figure = func(m *measurement) (float64, bool) { return float64(m.OpeningRSS), m.OpeningRSS > 0 }
	spaceRatio figure = func(m *measurement) (float64, bool) {
		if m.DiskBytes == 0 {
			return 0, false
		}
		return float64(m.DiskBytes) / float64(m.Events*int64(encodedEvent(int(m.Bytes/m.Events)))), true
	}
)
