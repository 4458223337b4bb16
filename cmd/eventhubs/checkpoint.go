package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// A checkpoint is the place in a file after a line that a journal has accepted, or that is stored.
// A keeper has it, so that a later run goes on there. The journal keeps it with the line's event.
type checkpoint struct {
	name   string // of the file, absolute
	before uint32 // checksum of the names before it on the command line; 0 for the first
	size   int64  // of the file when it was read
	line   int    // 0 if the file is one event
	trail
}

// A trail is where a cutter is in a file's content (decompressed), and what it has read.
type trail struct {
	offset int64
	head   uint32 // checksum of the first headBytes before offset
	last   uint32 // checksum of the latest line, with its end
	length int64  // of that line
}

// A keeper is what keeps the place in the input, in words.
type keeper struct {
	name    string // as the subject of a sentence
	has     string // what became of the line before the place
	instead string // what to give for another input
	strict  bool   // another input is refused
}

var keptByJournal = &keeper{name: "the journal", has: "accepted into the journal", instead: "use another directory for --journal"}

// keptByFile returns the keeper in a file of --resume.
func keptByFile(name string) *keeper {
	return &keeper{name: "--resume " + name, has: "published", instead: "give another file for --resume", strict: true}
}

// headBytes of a file, and its last line that was accepted, show if it is still the same file.
const headBytes = 1 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// begin is called before each line. A nil trail keeps nothing.
func (t *trail) begin() {
	if t != nil {
		t.last, t.length = 0, 0
	}
}

// read takes the next bytes of a line.
func (t *trail) read(b []byte) {
	if t == nil {
		return
	}
	if rest := headBytes - t.offset; rest > 0 {
		t.head = crc32.Update(t.head, castagnoli, b[:min(int64(len(b)), rest)])
	}
	t.last = crc32.Update(t.last, castagnoli, b)
	t.length += int64(len(b))
	t.offset += int64(len(b))
}

// checkpointMark begins a checkpoint of this command, in its first version.
const checkpointMark = "ehp\x01"

// append appends the encoded checkpoint.
func (c *checkpoint) append(dst []byte) []byte {
	dst = append(dst, checkpointMark...)
	for _, n := range [...]int64{c.size, int64(c.line), c.offset, c.length} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, n := range [...]uint32{c.before, c.head, c.last} {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return append(dst, c.name...)
}

// parseCheckpoint decodes a checkpoint. It reports false if this command did not write it.
func parseCheckpoint(text []byte) (c checkpoint, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(checkpointMark))
	if !ok {
		return c, false
	}
	var numbers [4]int64
	for i := range numbers {
		n, size := binary.Uvarint(rest)
		if size <= 0 || int64(n) < 0 {
			return c, false
		}
		numbers[i], rest = int64(n), rest[size:]
	}
	const sums = 3 * 4
	if len(rest) <= sums {
		return c, false
	}
	c = checkpoint{name: string(rest[sums:]), before: binary.LittleEndian.Uint32(rest), size: numbers[0], line: int(numbers[1])}
	c.trail = trail{offset: numbers[2], length: numbers[3], head: binary.LittleEndian.Uint32(rest[4:]), last: binary.LittleEndian.Uint32(rest[8:])}
	return c, c.length <= c.offset
}

// place returns the checkpoint's place for people.
func (c *checkpoint) place() string { return place{c.name, c.line}.String() }

// absolute returns a file's name in the form of a checkpoint.
func absolute(name string) string {
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

// goOn makes the source begin after a checkpoint. It returns a line about where that is.
func (s *source) goOn(c checkpoint) (string, error) {
	known := false
	for i := range s.inputs {
		in := &s.inputs[i]
		if in.stream != nil || absolute(in.name) != c.name {
			continue
		}
		known = true
		if i > 0 && in.before != c.before {
			continue
		}
		in.from = &c
		s.inputs = s.inputs[i:]
		text := fmt.Sprintf("Going on after %s", place{in.name, c.line})
		if i > 0 {
			text += fmt.Sprintf("; %s accepted earlier", counted(i, "file before it was", "files before it were"))
		}
		return text, nil
	}
	if known {
		return "", badInput("%s goes on after %s, and other files were before that one: give the same files in the same order, and new ones after them", s.keeper.name, c.place())
	}
	if s.keeper.strict {
		return "", badInput("%s goes on after %s, of another input: give that input, or %s", s.keeper.name, c.place(), s.keeper.instead)
	}
	return fmt.Sprintf("The journal's last line is %s, of another input: this one is published from its beginning", c.place()), nil
}

// follow makes a cutter note where it is in a file. Before that it goes on after the input's
// checkpoint. It returns the checkpoint that update completes; nil if there will be none.
func (c *cutter) follow(content io.Reader, mark int, in *input, kept *keeper) (*checkpoint, error) {
	file, ok := content.(*os.File)
	if !ok || kept == nil {
		return nil, nil
	}
	c.trail = new(trail)
	if in.from != nil {
		if err := c.resume(file, int64(mark), in.from, kept); err != nil {
			return nil, err
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &checkpoint{name: absolute(in.name), before: in.before, size: info.Size()}, nil
}

// update makes it the checkpoint of the cutter's latest line.
func (c *checkpoint) update(at *cutter) *checkpoint {
	if c != nil {
		c.line, c.trail = at.line, *at.trail
	}
	return c
}

// resume takes a cutter to the place after a checkpoint, if the file still is what it was.
func (c *cutter) resume(file *os.File, mark int64, from *checkpoint, kept *keeper) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	shorter := fmt.Sprintf("that was at its byte %d, of %d in the file, which has %d now", from.offset, from.size, info.Size())
	changed := func(how string) error {
		return badInput("%s has changed since %s was %s: %s; if it is a new file, give it another name, or %s", from.name, from.what(), kept.has, how, kept.instead)
	}
	head := make([]byte, min(from.offset, headBytes))
	n, err := c.peek(head)
	switch {
	case err != nil:
		return err
	case n < len(head):
		return changed(shorter)
	case crc32.Checksum(head, castagnoli) != from.head:
		return changed(fmt.Sprintf("its first %d bytes are others", len(head)))
	}
	if err := c.skip(file, mark, from.offset-from.length); err != nil {
		return err
	}
	sum := &lastByte{}
	read, err := io.CopyN(sum, c.r, from.length)
	switch {
	case err != nil && err != io.EOF:
		return err
	case read < from.length:
		return changed(shorter)
	case sum.sum != from.last:
		return changed("that line is another")
	}
	*c.trail = trail{offset: from.offset, head: from.head}
	c.line = from.line
	next, _ := c.r.Peek(2)
	switch {
	case c.format == formatFile:
		if len(next) > 0 {
			return changed("it is longer")
		}
	case len(next) == 0 || sum.last == '\n':
	case next[0] == '\n' || string(next) == "\r\n":
		c.line-- // the end of the line has been written since
	default:
		return changed("that line is longer")
	}
	return nil
}

// what names the line, or the whole file.
func (c *checkpoint) what() string {
	if c.line == 0 {
		return "it"
	}
	return fmt.Sprintf("its line %d", c.line)
}

// peek reads bytes that are read again later. It returns how many there are.
func (c *cutter) peek(p []byte) (int, error) {
	b, err := c.r.Peek(len(p))
	if err == io.EOF {
		err = nil
	}
	return copy(p, b), err
}

// skip takes the reader to an offset in the content, which begins after a byte order mark. The
// content may end earlier.
func (c *cutter) skip(file *os.File, mark, offset int64) error {
	if !c.packed {
		_, err := file.Seek(mark+offset, io.SeekStart)
		c.source.n.Add(mark + offset)
		c.r.Reset(c.source)
		return err
	}
	if _, err := io.CopyN(io.Discard, c.r, offset); err != io.EOF {
		return err
	}
	return nil
}

// A lastByte is a writer that keeps a checksum and the last byte.
type lastByte struct {
	sum  uint32
	last byte
}

func (w *lastByte) Write(p []byte) (int, error) {
	w.sum = crc32.Update(w.sum, castagnoli, p)
	if len(p) > 0 {
		w.last = p[len(p)-1]
	}
	return len(p), nil
}
