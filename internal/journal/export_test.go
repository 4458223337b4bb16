package journal

// SystemFiles is the operating system's file system, for the benchmarks.
var SystemFiles Files = system{}

// Die ends what a killed process would not do any more.
func (j *Journal) Die() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	if j.timer != nil {
		j.timer.Stop()
	}
}
