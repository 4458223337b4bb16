package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// A script is a peer in another language, in peers/, with its commands for installing and running.
type script struct {
	dir     string   // below peers
	runtime string   // the runtime of the programs in needs
	needs   []string // programs
	files   []string // copied to the place of installation
	install func(ctx context.Context, dir string) error
	command func(dir string) []string
}

// preparationLimit bounds the installation of one script.
const preparationLimit = 5 * time.Minute

var javaScriptPeer = script{
	dir: "javascript", runtime: "Node.js 20 or newer, with npm", needs: []string{"node", "npm"}, files: []string{"package.json", "package-lock.json", "peer.mjs"},
	install: func(ctx context.Context, dir string) error {
		return setup.Command(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	},
	command: func(dir string) []string { return []string{"node", filepath.Join(dir, "peer.mjs")} },
}

var pythonPeer = script{
	dir: "python", runtime: "Python 3.9 or newer, with venv", needs: []string{"python3"}, files: []string{"requirements.txt", "peer.py"},
	install: func(ctx context.Context, dir string) error {
		if err := setup.Command(ctx, dir, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return setup.Command(ctx, dir, virtualPython(dir), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	},
	command: func(dir string) []string { return []string{virtualPython(dir), filepath.Join(dir, "peer.py")} },
}

func virtualPython(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "venv", "Scripts", "python.exe")
	}
	return filepath.Join(dir, "venv", "bin", "python")
}

var javaPeer = script{
	dir: "java", runtime: "a JDK 17 or newer, and Maven 3.8", needs: []string{"java", "javac", "mvn"}, files: []string{"pom.xml", "Peer.java"},
	install: func(ctx context.Context, dir string) error {
		// Maven only resolves dependencies. Its compiler would be one more plugin to fetch.
		if err := setup.Command(ctx, dir, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"); err != nil {
			return err
		}
		return setup.Command(ctx, dir, "javac", "-cp", filepath.Join("lib", "*"), "-d", "classes", "Peer.java")
	},
	command: func(dir string) []string {
		path := filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
		return []string{"java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", path, "bench.Peer"}
	},
}

// prepare builds or installs the program of an external peer, once. It fails if a tool for that is
// missing.
func (r *runner) prepare(ctx context.Context, p *peer) (*program, error) {
	if ready := r.prepared[p.name]; ready != nil {
		return ready, nil
	}
	if p.script == nil {
		find := p.prepare
		if p.name == before {
			find = r.prepareBefore
		}
		ready, err := find(ctx)
		if err == nil {
			r.prepared[p.name] = ready
		}
		return ready, err
	}
	if err := setup.Need(p.script.runtime, p.script.needs...); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, preparationLimit)
	defer cancel()
	dir, err := setup.Install(p.script.dir, filepath.Join("peers", p.script.dir), p.script.files, func(dir string) error { return p.script.install(ctx, dir) })
	if err != nil {
		return nil, err
	}
	r.prepared[p.name] = &program{command: p.script.command(dir)}
	return r.prepared[p.name], nil
}

// absent returns why a peer cannot run here; nil if it can.
func (r *runner) absent(ctx context.Context, p *peer) error {
	if p.open != nil {
		return nil
	}
	if err, known := r.skipped[p.name]; known {
		return err
	}
	_, err := r.prepare(ctx, p)
	r.skipped[p.name] = err
	return err
}
