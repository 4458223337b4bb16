// Command interop runs other people's programs against the emulator: unchanged official clients of Azure Event
// Hubs, in their versions from the registries of their languages. From the root of the repository:
//
//	go -C interop run .                   all of them
//	go -C interop run . javascript java   some
//
// Each client has a script under clients that performs the checks (see check.go) and prints what it saw, one JSON
// object a line. What it saw is judged here, together with what the emulator holds, so that all clients are held to
// the same rules. The .NET client is a program with commands of its own instead (see performance.go). The result is a
// table in Markdown, on standard output; the exit status is 0 only if all is well.
//
// The command in the folder broker does the reverse: there it is this project's transport that talks to other people's
// servers.
//
// The clients are installed below the user's cache directory, or in the directory that the environment variable
// INTEROP_CACHE names, once for each set of pinned versions. They need a runtime each: Node.js 20 with npm,
// Python 3.9 with venv, a JDK 17 with Maven 3.8. The .NET client is the program that the environment variable
// INTEROP_DOTNET names, or is built by the .NET 10 SDK; clients/dotnet/README.md has more. One that is missing is a
// failure.
package main
