// Command processors runs the event processors of the official clients against the emulator. Two
// processes of a client share a hub's partitions while events come. Their checkpoints are in
// Azurite, an emulator of blob storage. One process is killed (SIGKILL), and the other must take
// over its partitions without missing an event. From the root of the repository:
//
//	go -C interop run ./processors                 all of them
//	go -C interop run ./processors python java     some
//
// .NET's processors are in one process, with their checkpoints in memory. One of them leaves
// instead of being killed.
//
// The clients are installed as those of the command interop are. The result is a table in Markdown,
// on standard output. The exit status is 0 only if all is well.
package main
