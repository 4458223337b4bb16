package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the largest window that a zstd file may ask memory for, as for the program zstd.
const zstdWindow = 128 << 20

// decompressed returns the content of r, which may be compressed with gzip or zstd. The first bytes
// decide, not the file's name.
func decompressed(r io.Reader) (content io.Reader, packed bool, err error) {
	file := &faultReader{r: r}
	buffered := bufio.NewReader(file)
	var z io.Reader
	name := compression(buffered)
	switch name {
	case "gzip":
		z, err = gzip.NewReader(buffered)
	case "zstd":
		// One goroutine, that of the reader, decodes. So the decoder needs no end.
		z, err = zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
	case "":
		return buffered, false, nil
	default:
		return nil, false, unfit("it is in the format %s; this command reads gzip and zstd: decompress or convert it first (--format file takes any bytes)", name)
	}
	unpacked := &decompressor{z: z, file: file, name: name}
	if err != nil {
		return nil, false, unpacked.fault(err)
	}
	return unpacked, true, nil
}

// compression returns the name of the format that the first bytes show; "" for any other, such as
// text. It waits for no more bytes than the first one allows.
func compression(r *bufio.Reader) string {
	for _, format := range []struct{ name, magic string }{
		{"gzip", "\x1f\x8b"}, // RFC 1952, 2.3.1
		{"zstd", "\x28\xb5\x2f\xfd"},
		{"xz", "\xfd7zXZ\x00"},
		{"bzip2", "BZh91AY&SY"},
		{"zip", "PK\x03\x04"},
		{"LZ4", "\x04\x22\x4d\x18"},
		{"Parquet", "PAR1\x15"},
		{"Avro", "Obj\x01"},
	} {
		if begins(r, format.magic) {
			return format.name
		}
	}
	// A skippable frame may precede those of zstd (RFC 8878, 3.1.2).
	if head, _ := r.Peek(1); len(head) == 1 && head[0]&0xf0 == 0x50 && begins(r, string(head)+"\x2a\x4d\x18") {
		return "zstd"
	}
	return ""
}

// begins reports whether the content begins with a text. It waits for a byte only after all before
// it are those of the text.
func begins(r *bufio.Reader, text string) bool {
	for n := 1; n <= len(text); n++ {
		n = min(max(n, r.Buffered()), len(text))
		head, _ := r.Peek(n)
		if len(head) < n || !strings.HasPrefix(text, string(head)) {
			return false
		}
	}
	return true
}

// A faultReader remembers the file's error, to distinguish it from an error of the data.
type faultReader struct {
	r   io.Reader
	err error
}

func (f *faultReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// A decompressor says of an error whether the compressed data is broken.
type decompressor struct {
	z    io.Reader
	file *faultReader
	name string
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.z.Read(p)
	return n, d.fault(err)
}

func (d *decompressor) fault(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case d.file.err != nil:
		return d.file.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return unfit("broken %s: it needs more than %s of memory", d.name, size(zstdWindow))
	}
	return unfit("broken %s: %w", d.name, err)
}
