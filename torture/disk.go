package main

import (
	"fmt"
	"syscall"
)

// recordBytes is what the record of an event takes on the disk, at most; bodies are in the
// emulator's data.
const recordBytes = 8

// checkDisk refuses a run that might not find room for its data.
func checkDisk(o *options) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(o.directory, &fs); err != nil {
		return fmt.Errorf("the free disk of %s: %w", o.directory, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	rate := o.rate
	if rate == 0 {
		rate = 300_000 // no two cores do more
	}
	const eventBytes = 1000 // in the data, with free pages and the large ones
	need := uint64(o.partitions*o.retention*eventBytes) + uint64(float64(rate)*o.lasting.Seconds()*recordBytes)
	for _, p := range o.profiles() {
		if j := p.journal; j != nil && j.room == 0 {
			need += uint64(j.maxBytes)
		}
	}
	if free < need {
		return fmt.Errorf("%s has %d MB free, and the run may take %d MB: give another -directory, a shorter -for or a lower -rate", o.directory, free>>20, need>>20)
	}
	return nil
}
