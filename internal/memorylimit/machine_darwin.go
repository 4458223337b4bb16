package memorylimit

import (
	"encoding/binary"
	"syscall"
)

// machine returns the bytes of the machine's memory; 0: unknown.
func machine() int64 {
	text, err := syscall.Sysctl("hw.memsize")
	if err != nil {
		return 0
	}
	// The value is a number of 8 bytes. Sysctl takes it for a text and cuts a zero at its end.
	var number [8]byte
	copy(number[:], text)
	return int64(binary.LittleEndian.Uint64(number[:]))
}
