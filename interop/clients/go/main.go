// Command client runs the checks named on the command line with Azure's client for Go. It prints
// its observations, one JSON object a line. The runner in ../.. compares them with the emulator's
// events. The environment has the connection strings, the list of keys and the like (see
// ../../world.go).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A line is the runner's input for a check.
type line map[string]any

// checkLimit bounds a check.
const checkLimit = 50 * time.Second

func main() {
	say(line{"client": "azeventhubs", "version": version(), "runtime": strings.Replace(runtime.Version(), "go", "Go ", 1)})
	for _, argument := range os.Args[1:] {
		name, hub, _ := strings.Cut(argument, "=")
		began := time.Now()
		out, err := run(name, hub)
		if err != nil {
			out = line{"error": err.Error()}
		}
		out["check"] = name
		out["milliseconds"] = float64(time.Since(began)) / float64(time.Millisecond)
		say(out)
	}
}

func say(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// version returns the client's version in this binary.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasSuffix(module.Path, "/azeventhubs/v2") {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}
