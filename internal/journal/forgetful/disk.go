// Package forgetful is a file system in memory that forgets, for tests of a journal.
//
// After a power cut it has any subset of the unsynced pages, also half a page. It has the first few
// of the unsynced changes of directories. An fsync of a file that fails loses its pages, and the
// next one says that all is well. A directory's changes are not lost: they wait for its next sync.
// Operations fail, write short, or find the disk full, once or for ever.
package forgetful

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// Page is the bytes that the disk writes or forgets together.
const Page = 512

// ErrPower is the error of every operation from a power cut until Restart.
var ErrPower = errors.New("forgetful: the power is off")

// An Op is a kind of operation. Those before Read change the disk.
type Op int

const (
	Create Op = iota
	Write
	Sync
	Rename
	Remove
	SyncDirectory
	Read
	Open
	List
)

// A Fault lets operations fail.
type Fault struct {
	Op    Op
	Name  string // a pattern of filepath.Match for the file's base name; "": any
	After int    // operations that it lets pass first
	Times int    // operations that fail then; 0: all
	Err   error  // nil: EIO
	Short bool   // half of the bytes are written before a Write fails
}

// A Disk implements journal.Files. All methods may be called from several goroutines.
type Disk struct {
	SyncTime time.Duration // that each Sync of a file takes
	Kind     string        // what Remote returns
	// Watch, unless nil, is called at the begin of each operation that the power does not prevent,
	// with the file's base name. It must not call the disk.
	Watch func(op Op, name string)

	mu      sync.Mutex
	names   map[string]*inode // as processes see them
	kept    map[string]*inode // as the disk has them
	pending []change          // from kept to names, in order
	locks   map[string]*lock
	faults  []*Fault
	size    int64 // 0: no bound
	life    int   // of the process: files of an earlier one are closed
	met     int   // operations that failed by a fault
	cutAt   int
	off     bool
	count   int
}

type inode struct {
	bytes []byte // as processes see them
	kept  []byte // as the disk has them
	dirty map[int]bool
	grows bool // Put made it
}

// A change is a name that was given, moved or taken.
type change struct {
	from, to string
	file     *inode
}

type lock struct{ life int }

// New returns an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*inode{}, kept: map[string]*inode{}, locks: map[string]*lock{}, cutAt: -1}
}

// CutAt cuts the power at the n-th operation from now that changes the disk; 0 is the next one. The
// process sees that operation fail. The disk may have it or not.
func (d *Disk) CutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt, d.count = n, 0
}

// Changes returns the operations that changed the disk since CutAt, or since New.
func (d *Disk) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Off reports whether the power was cut.
func (d *Disk) Off() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// Pages says which of the unsynced pages the disk has after a power cut.
type Pages int

const (
	NoPages Pages = iota
	AllPages
	SomePages // a random subset
	TornPages // a random subset, one of them only in half
)

// Names says which of the unsynced changes of directories the disk has after a power cut.
type Names int

const (
	NoNames Names = iota
	AllNames
	SomeNames // the first few
)

// Restart ends the process and cuts the power if that is still on. Then the power is on again.
func (d *Disk) Restart(pages Pages, names Names, random *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[*inode]bool{}
	for _, f := range d.names {
		all[f] = true
	}
	for _, f := range d.kept {
		all[f] = true
	}
	for _, f := range inOrder(all) {
		f.settle(pages, random)
		f.bytes = slices.Clone(f.kept)
	}
	n := 0
	switch names {
	case AllNames:
		n = len(d.pending)
	case SomeNames:
		n = random.IntN(len(d.pending) + 1)
	}
	for _, c := range d.pending[:n] {
		c.apply(d.kept)
	}
	d.pending, d.names = nil, map[string]*inode{}
	maps.Copy(d.names, d.kept)
	d.kill()
	d.off, d.cutAt, d.faults = false, -1, nil
}

// inOrder makes the random choices repeatable: the files by what they hold.
func inOrder(all map[*inode]bool) (files []*inode) {
	for f := range all {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *inode) int {
		if c := slices.Compare(a.bytes, b.bytes); c != 0 {
			return c
		}
		return slices.Compare(a.kept, b.kept)
	})
	return files
}

// Kill ends the process: its files and locks. The system keeps all that was written and named. If
// the power went at the operation of CutAt, then only the process ended there.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off, d.cutAt = false, -1
	d.kill()
}

func (d *Disk) kill() {
	d.life++
	clear(d.locks)
}

// Fail adds a fault. Restart ends all faults.
func (d *Disk) Fail(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Err == nil {
		f.Err = syscall.EIO
	}
	if f.Times == 0 {
		f.Times = -1
	}
	d.faults = append(d.faults, &f)
}

// Met returns how many operations have failed by a fault.
func (d *Disk) Met() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.met
}

// Mend ends all faults.
func (d *Disk) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
}

// SetSize bounds the bytes of all files; 0: no bound.
func (d *Disk) SetSize(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = bytes
}

// Used returns the bytes of all files.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used()
}

func (d *Disk) used() (sum int64) {
	for _, f := range d.names {
		sum += int64(len(f.bytes))
	}
	return sum
}

// Bytes returns a copy of a file's bytes, or nil.
func (d *Disk) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[filepath.Clean(name)]; f != nil {
		return slices.Clone(f.bytes)
	}
	return nil
}

// Put makes or replaces a file, durably. Nil bytes remove it.
func (d *Disk) Put(name string, bytes []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if bytes == nil {
		delete(d.names, name)
		delete(d.kept, name)
		return
	}
	f := &inode{bytes: slices.Clone(bytes), kept: slices.Clone(bytes), dirty: map[int]bool{}, grows: true}
	d.names[name], d.kept[name] = f, f
}

// Clone returns a disk with the same files, all durable, and no process.
func (d *Disk) Clone() *Disk {
	c := New()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.names {
		c.Put(name, f.bytes)
	}
	return c
}

// enter begins an operation. The power may go at it, or it may fail.
func (d *Disk) enter(op Op, name string) (fault *Fault, err error) {
	if d.off {
		return nil, ErrPower
	}
	if d.Watch != nil {
		d.Watch(op, filepath.Base(name))
	}
	if op < Read {
		d.count++
		if d.count-1 == d.cutAt {
			d.off = true
		}
	}
	for _, f := range d.faults {
		if matches, _ := filepath.Match(f.Name, filepath.Base(name)); f.Op != op || f.Name != "" && !matches || f.Times == 0 {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		d.met++
		return f, fmt.Errorf("%s: %w", name, f.Err)
	}
	return nil, nil
}

// leave ends an operation that was done: the process does not hear of it if the power went.
func (d *Disk) leave() error {
	if d.off {
		return ErrPower
	}
	return nil
}

// do makes a change of names.
func (d *Disk) do(op Op, c change) error {
	if _, err := d.enter(op, c.to+c.from); err != nil {
		return err
	}
	c.apply(d.names)
	d.pending = append(d.pending, c)
	return d.leave()
}

func (c *change) apply(names map[string]*inode) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.file
	}
}

func (d *Disk) MakeDirectory(string) error { return nil }

func (d *Disk) Create(name string, size int64) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if !d.off && d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if !d.off && d.size > 0 && d.used()+size > d.size {
		return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	f := &inode{bytes: make([]byte, size), dirty: map[int]bool{}}
	if err := d.do(Create, change{to: name, file: f}); err != nil {
		return nil, err
	}
	return &file{d, f, name, d.life}, nil
}

func (d *Disk) Open(name string, _ bool) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if _, err := d.enter(Open, name); err != nil {
		return nil, err
	}
	f := d.names[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{d, f, name, d.life}, nil
}

// Map is Open: each write counts as an operation, although it costs a process no call.
func (d *Disk) Map(name string) (journal.File, error) { return d.Open(name, true) }

func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	if f := d.names[from]; f != nil || d.off {
		return d.do(Rename, change{from: from, to: to, file: f})
	}
	return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
}

func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if d.names[name] != nil || d.off {
		return d.do(Remove, change{from: name})
	}
	return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
}

func (d *Disk) List(directory string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.enter(List, directory); err != nil {
		return nil, err
	}
	for name := range d.names {
		if filepath.Dir(name) == filepath.Clean(directory) {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *Disk) SyncDirectory(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.enter(SyncDirectory, name); err != nil {
		return err
	}
	if err := d.leave(); err != nil {
		return err
	}
	for _, c := range d.pending {
		c.apply(d.kept)
	}
	d.pending = nil
	return nil
}

func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPower
	}
	name = filepath.Clean(name)
	if d.locks[name] != nil {
		return nil, &journal.InUseError{Directory: filepath.Dir(name), PID: 1, Host: "forgetful"}
	}
	l := &lock{d.life}
	d.locks[name] = l
	return closer(func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.locks[name] == l {
			delete(d.locks, name)
		}
		return nil
	}), nil
}

type closer func() error

func (c closer) Close() error { return c() }

func (d *Disk) Free(string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size == 0 {
		return 0
	}
	return max(d.size-d.used(), 0)
}

func (d *Disk) Remote(string) string { return d.Kind }
