// Command client runs the checks named on the command line with Azure's client for Go and prints what it saw, one JSON
// object a line; the runner in ../.. compares that with what the emulator holds. Connection strings, the list of keys
// and the like come in the environment (see ../../world.go).
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

// A line is what the runner reads of a check.
type line map[string]any

// checkLimit bounds what a check may take.
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

// version is the client's, as it was built in.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasSuffix(module.Path, "/azeventhubs/v2") {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}
