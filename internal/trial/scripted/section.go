package scripted

// SectionSize returns how many bytes of a batch an event of that encoded size takes.
func SectionSize(encoded int) int {
	if encoded < 256 {
		return encoded + 5
	}
	return encoded + 8
}

// sectionHead returns how many bytes of a section of that size are its header.
func sectionHead(section int) int {
	if section < SectionSize(256) {
		return 5
	}
	return 8
}
