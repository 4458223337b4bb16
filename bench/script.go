package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// A script is a peer in another language, in peers/, with what it takes to install and to run it.
type script struct {
	dir     string   // below peers
	needs   []string // programs
	files   []string // that are copied to where it is installed
	install func(ctx context.Context, dir string) error
	command func(dir string) []string
}

// preparationLimit bounds the installation of one script.
const preparationLimit = 5 * time.Minute

var javaScriptPeer = script{
	dir: "javascript", needs: []string{"node", "npm"}, files: []string{"package.json", "package-lock.json", "peer.mjs"},
	install: func(ctx context.Context, dir string) error {
		return command(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	},
	command: func(dir string) []string { return []string{"node", filepath.Join(dir, "peer.mjs")} },
}

var pythonPeer = script{
	dir: "python", needs: []string{"python3"}, files: []string{"requirements.txt", "peer.py"},
	install: func(ctx context.Context, dir string) error {
		if err := command(ctx, dir, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return command(ctx, dir, virtualPython(dir), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
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
	dir: "java", needs: []string{"java", "javac", "mvn"}, files: []string{"pom.xml", "Peer.java"},
	install: func(ctx context.Context, dir string) error {
		// Maven resolves only: the compiler needs no plugin that would have to be fetched too.
		if err := command(ctx, dir, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"); err != nil {
			return err
		}
		return command(ctx, dir, "javac", "-cp", filepath.Join("lib", "*"), "-d", "classes", "Peer.java")
	},
	command: func(dir string) []string {
		path := filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
		return []string{"java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", path, "bench.Peer"}
	},
}

// prepare installs a peer's script, once, unless its runtime is missing.
func (r *runner) prepare(ctx context.Context, p *peer) (*program, error) {
	if ready := r.prepared[p.name]; ready != nil {
		return ready, nil
	}
	for _, name := range p.script.needs {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%s is missing: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, preparationLimit)
	defer cancel()
	dir, err := p.script.prepare(ctx)
	if err != nil {
		return nil, err
	}
	r.prepared[p.name] = &program{command: p.script.command(dir)}
	return r.prepared[p.name], nil
}

// absent says why a peer cannot run here; nil if it can.
func (r *runner) absent(ctx context.Context, p *peer) error {
	if p.script == nil {
		return nil
	}
	if err, known := r.skipped[p.name]; known {
		return err
	}
	_, err := r.prepare(ctx, p)
	r.skipped[p.name] = err
	return err
}

// prepare copies the script's files to a directory that belongs to their content, and installs it there unless that was done before.
func (s *script) prepare(ctx context.Context) (dir string, err error) {
	hash := sha256.New()
	contents := make(map[string][]byte)
	for _, name := range s.files {
		content, err := os.ReadFile(filepath.Join("peers", s.dir, name))
		if err != nil {
			return "", fmt.Errorf("the benchmark runs in its own directory (go -C bench run .): %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(content))
		hash.Write(content)
		contents[name] = content
	}
	if dir, err = cacheDirectory(s.dir + "-" + hex.EncodeToString(hash.Sum(nil)[:6])); err != nil {
		return "", err
	}
	stamp := filepath.Join(dir, "complete") // says that an installation was completed
	if _, err := os.Stat(stamp); err == nil {
		return dir, nil
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	if err := s.install(ctx, dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(stamp, nil, 0o644)
}

// cacheDirectory makes a directory outside the tree.
func cacheDirectory(name string) (string, error) {
	root := os.Getenv("BENCH_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("set BENCH_CACHE to a directory for the peers: %w", err)
		}
		root = filepath.Join(cache, "eventhubs-bench")
	}
	dir, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// command runs a program; its error carries what the program printed.
func command(ctx context.Context, dir, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w\n%s", program, args, errors.Join(err, context.Cause(ctx)), output)
	}
	return nil
}
