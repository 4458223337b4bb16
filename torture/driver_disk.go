package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// mountDisks gives each small journal a file system of its own, which a fault can fill.
func (d *driver) mountDisks() error {
	for i, p := range d.profiles {
		if p.journal == nil || p.journal.room == 0 || d.options.plain {
			continue
		}
		path := filepath.Join(d.directory, journalsName, strconv.Itoa(i))
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", p.journal.room)); err != nil {
			return fmt.Errorf("a file system for the journal of producer %d: %w", i, err)
		}
		d.disks = append(d.disks, path)
	}
	return nil
}

// unmountDisks leaves a copy of what is in them.
func (d *driver) unmountDisks() (err error) {
	for _, path := range d.disks {
		err = errors.Join(err, os.CopyFS(path+"-copy", os.DirFS(path)), syscall.Unmount(path, syscall.MNT_DETACH))
	}
	return err
}

// fill takes all room of a producer's disk for a while, and its network: as long as it can send, it
// needs no room. Its process may be killed meanwhile.
func (d *driver) fill(k *kind, s *slot, lasts time.Duration) bool {
	if s.filling != nil || s.disturbed {
		return false
	}
	path := filepath.Join(d.directory, journalsName, strconv.Itoa(s.number), "fill")
	if err := takeRoom(path); err != nil {
		d.fail(err)
		return true
	}
	f := d.log.ask(k, s, lasts)
	s.filling, s.disturbed = f, true
	d.network.disturb(s.number, blackHoleUp, lasts, func(string) {})
	d.later(lasts+networkPause, func() { s.disturbed = false })
	d.later(lasts, func() {
		if err := os.Remove(path); err != nil {
			d.fail(err)
		}
		d.log.end(f, time.Now())
		s.filling = nil
	})
	return true
}

// takeRoom writes a file until the disk has no room.
func takeRoom(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// full notes that a journal has no room because of its disk.
func (d *driver) full(s *slot) {
	if s.filling != nil {
		d.log.act(s.filling, time.Now(), "the journal had no room, below its MaxBytes")
	}
}
