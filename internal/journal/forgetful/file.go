package forgetful

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"
)

// A file is an inode that a process has opened.
type file struct {
	d    *Disk
	f    *inode
	name string
	life int // -1: closed
}

// enter begins an operation of a process that lives.
func (f *file) enter(op Op) (*Fault, error) {
	if f.life != f.d.life {
		return nil, fs.ErrClosed
	}
	return f.d.enter(op, f.name)
}

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.enter(Read); err != nil {
		return 0, err
	}
	if at >= int64(len(f.f.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, f.f.bytes[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	fault, err := f.enter(Write)
	if err != nil && (fault == nil || !fault.Short) {
		return 0, err
	}
	if err != nil {
		p = p[:len(p)/2]
	}
	i := f.f
	if end := int(at) + len(p); end > len(i.bytes) && !i.grows {
		return 0, fmt.Errorf("forgetful: byte %d of %s is written, which was allocated with %d", end, f.name, len(i.bytes))
	}
	if grown := int(at) + len(p) - len(i.bytes); grown > 0 {
		i.bytes = append(i.bytes, make([]byte, grown)...)
	}
	copy(i.bytes[at:], p)
	for page := int(at) / Page; len(p) > 0 && page <= (int(at)+len(p)-1)/Page; page++ {
		i.dirty[page] = true
	}
	if err == nil {
		err = f.d.leave()
	}
	return len(p), err
}

func (f *file) Sync() error {
	if f.d.SyncTime > 0 {
		time.Sleep(f.d.SyncTime)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.enter(Sync)
	if err == nil {
		err = f.d.leave()
	} else if !f.d.off && f.life == f.d.life {
		clear(f.f.dirty) // lost, though processes still see them
	}
	if err == nil {
		f.f.settle(AllPages, nil)
	}
	return err
}

func (f *file) Push() {} // any of the pages may be on the disk

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.off {
		return 0, ErrPower
	}
	return int64(len(f.f.bytes)), nil
}

func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.life < 0 {
		return fs.ErrClosed
	}
	f.life = -1
	return nil
}

// settle brings unsynced pages to the disk, or forgets them.
func (i *inode) settle(pages Pages, random *rand.Rand) {
	if size := len(i.bytes); size > len(i.kept) && (pages == AllPages || pages != NoPages && random.IntN(2) == 0) {
		i.kept = append(i.kept, make([]byte, size-len(i.kept))...) // the size is there, whatever the pages
	}
	dirty := make([]int, 0, len(i.dirty))
	for page := range i.dirty {
		dirty = append(dirty, page)
	}
	slices.Sort(dirty)
	torn := -1
	if pages == TornPages && len(dirty) > 0 {
		torn = dirty[random.IntN(len(dirty))]
	}
	for _, page := range dirty {
		if pages == NoPages || pages != AllPages && page != torn && random.IntN(2) == 0 {
			continue
		}
		from, to := page*Page, min((page+1)*Page, len(i.bytes))
		if half := from + (to-from)/2; page == torn && random.IntN(2) == 0 {
			from = half
		} else if page == torn {
			to = half
		}
		if to > len(i.kept) {
			i.kept = append(i.kept, make([]byte, to-len(i.kept))...)
		}
		copy(i.kept[from:to], i.bytes[from:to])
	}
	clear(i.dirty)
}
