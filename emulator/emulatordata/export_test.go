package emulatordata

// OpenSmall opens a store with small files.
func OpenSmall(dir string) (*Store, error) {
	return Open(dir, &Options{checkpointBytes: 6 << 10, segmentBytes: 8 << 10})
}
