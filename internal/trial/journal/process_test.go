package journal

import (
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A process is the disk as one life of the application sees it. A life that was killed changes
// nothing any more.
type process struct {
	journal.Files
	dead atomic.Bool
}

func (p *process) err() error {
	if p.dead.Load() {
		return fs.ErrClosed
	}
	return nil
}

func (p *process) Open(name string, write bool) (journal.File, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.Files.Open(name, write)
}

func (p *process) Create(name string, size int64) (journal.File, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.Files.Create(name, size)
}

func (p *process) Rename(from, to string) error {
	if err := p.err(); err != nil {
		return err
	}
	return p.Files.Rename(from, to)
}

func (p *process) Remove(name string) error {
	if err := p.err(); err != nil {
		return err
	}
	return p.Files.Remove(name)
}

func (p *process) List(directory string) ([]string, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.Files.List(directory)
}

func (p *process) SyncDirectory(name string) error {
	if err := p.err(); err != nil {
		return err
	}
	return p.Files.SyncDirectory(name)
}

func (p *process) Lock(name string) (io.Closer, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.Files.Lock(name)
}
