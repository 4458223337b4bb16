package journal

// SystemFiles is the operating system's file system, for the benchmarks.
var SystemFiles Files = system{}
