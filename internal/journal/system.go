package journal

// System returns the operating system's file system, for files of others beside a journal's.
func System() Files { return system{} }
