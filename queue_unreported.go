package eventhubs

import "slices"

// Unreported is the failures in a queue that no Flush or Close has returned yet. The queue's lock
// guards it. It has at most one entry more than there are barriers with a waiting caller.
type unreported []*failures

// Failures are in the results of the same barriers. They are reported as soon as one of these has
// returned.
type failures struct {
	tally
	holders []*barrier
}

// A counted is a run of a batch's events, and the failures that they were counted among.
type counted struct {
	from, to int // of the batch's events, to excluded
	outcome  Outcome
	failures *failures
}

// dropReported drops the failures that a barrier has returned.
func (u *unreported) dropReported() {
	*u = slices.DeleteFunc(*u, func(f *failures) bool {
		return slices.ContainsFunc(f.holders, func(r *barrier) bool { return r.returned.Load() })
	})
}

// add keeps failed events that these barriers got in time. It returns the failures that they are
// counted among.
func (u *unreported) add(events int, o Outcome, holders []*barrier) *failures {
	u.dropReported()
	i := slices.IndexFunc(*u, func(f *failures) bool { return slices.Equal(f.holders, holders) })
	if i < 0 {
		i = len(*u)
		*u = append(*u, &failures{holders: slices.Clone(holders)})
	}
	(*u)[i].count(events, o)
	return (*u)[i]
}

// enqueuedAgain takes an event out of the failures, and out of the results of their barriers. Once
// one of these barriers has returned, the failure is reported and stays.
func (f *failures) enqueuedAgain(o Outcome) {
	if slices.ContainsFunc(f.holders, func(r *barrier) bool { return r.returned.Load() }) {
		return
	}
	f.count(-1, o)
	for _, r := range f.holders {
		r.enqueuedAgain(o)
	}
}

// giveTo adds all failures to a barrier's result. Each of the barriers that wait at the same time
// gets them.
func (u *unreported) giveTo(r *barrier) {
	u.dropReported()
	for _, f := range *u {
		if slices.Contains(f.holders, r) {
			continue // the barrier has it already, from here or as the outcome of a batch that it covers
		}
		r.addEarlier(f.tally)
		f.holders = append(f.holders, r)
	}
}
