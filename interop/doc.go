// Command interop runs the official clients of Azure Event Hubs against the emulator. The clients
// are unchanged, in versions from the registries of their languages. From the root of the
// repository:
//
//	go -C interop run .                   all of them
//	go -C interop run . javascript java   some
//
// Each client has a script under clients that performs the checks (see check.go) and prints its
// observations, one JSON object a line. This command judges them together with the emulator's
// events, so the same rules hold for all clients. The .NET client is a program with its own
// commands (see performance.go). The result is a table in Markdown, on standard output. The exit
// status is 0 only if all is well.
//
// The command in the folder processors runs the clients' event processors. The command in the
// folder teams runs the examples of other languages.
//
// Another command puts the clients under the faults of docs/faults.md, each with its default
// options. It writes their columns into the tables of that document. Each client takes two to three
// minutes:
//
//	go -C interop run . faults -update           ours, go, dotnet, java, javascript and python
//	go -C interop run . faults -update python    one of them; the other columns stay
//
// The command in the folder broker does the reverse: this project's transport connects to other
// projects' servers.
//
// The clients are installed below the user's cache directory, or in the directory in the
// environment variable INTEROP_CACHE, once for each set of pinned versions. Each needs a runtime:
// Node.js 20 with npm, Python 3.9 with venv, a JDK 17 with Maven 3.8. The .NET client is the
// program in the environment variable INTEROP_DOTNET, or is built by the .NET 10 SDK; see
// clients/dotnet/README.md. A missing one is a failure. The Rust client runs only if it is named,
// and needs Rust 1.88 with Cargo.
//
// Two more words are commands: "more" runs other clients and tools (package more), "suites" the
// official SDKs' own tests (package suites).
package main
