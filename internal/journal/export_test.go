package journal

// Die ends what a killed process would not do any more.
func (j *Journal) Die() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	if j.timer != nil {
		j.timer.Stop()
	}
}
