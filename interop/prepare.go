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
)

// stamp is the file that says that an installation was completed.
const stamp = "complete"

func prepareGo(ctx context.Context) ([]string, error) {
	dir, err := cacheDirectory("go")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "client")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	return []string{program}, command(ctx, "", "go", "build", "-o", program, "./clients/go")
}

func prepareJavaScript(ctx context.Context) ([]string, error) {
	if err := need("Node.js 20 or newer, with npm", "node", "npm"); err != nil {
		return nil, err
	}
	dir, err := install("javascript", []string{"package.json", "package-lock.json"}, func(dir string) error {
		return command(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	if err != nil {
		return nil, err
	}
	// Node.js looks for packages from where the script lies.
	return []string{"node", filepath.Join(dir, "client.mjs")}, copyFiles("javascript", dir, "client.mjs")
}

func preparePython(ctx context.Context) ([]string, error) {
	if err := need("Python 3.9 or newer, with venv", "python3"); err != nil {
		return nil, err
	}
	program := filepath.Join("venv", "bin", "python")
	if runtime.GOOS == "windows" {
		program = filepath.Join("venv", "Scripts", "python.exe")
	}
	dir, err := install("python", []string{"requirements.txt"}, func(dir string) error {
		if err := command(ctx, dir, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return command(ctx, dir, filepath.Join(dir, program), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	})
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join("clients", "python", "client.py"))
	return []string{filepath.Join(dir, program), "-B", script}, err
}

func prepareJava(ctx context.Context) ([]string, error) {
	if err := need("a JDK 17 or newer, and Maven 3.8", "java", "javac", "mvn"); err != nil {
		return nil, err
	}
	dir, err := install("java", []string{"pom.xml", "Client.java"}, func(dir string) error {
		// Maven resolves only: the compiler needs no plugin that would have to be fetched too.
		if err := command(ctx, dir, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"); err != nil {
			return err
		}
		return command(ctx, dir, "javac", "-cp", filepath.Join("lib", "*"), "-d", "classes", "Client.java")
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
	// A short life is better served by the first compiler alone.
	return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", path, "interop.Client"}, nil
}

// need fails if a program that a client cannot do without is not there.
func need(what string, programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing; install %s from your system's packages (on Debian: apt-get install nodejs npm python3-venv openjdk-17-jdk-headless maven): %w", program, what, err)
		}
	}
	return nil
}

// install copies the named files of a client to a directory that belongs to their content, and runs steps there
// unless that was done before.
func install(client string, files []string, steps func(dir string) error) (string, error) {
	hash := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join("clients", client, name))
		if err != nil {
			return "", fmt.Errorf("interop runs in its own directory (go -C interop run .): %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(content))
		hash.Write(content)
	}
	dir, err := cacheDirectory(client + "-" + hex.EncodeToString(hash.Sum(nil)[:6]))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, stamp)); err == nil {
		return dir, nil
	}
	if err := copyFiles(client, dir, files...); err != nil {
		return "", err
	}
	if err := steps(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, stamp), nil, 0o644)
}

// cacheDirectory makes a directory outside the tree.
func cacheDirectory(name string) (string, error) {
	root := os.Getenv("INTEROP_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("interop: set INTEROP_CACHE to a directory for the clients: %w", err)
		}
		root = filepath.Join(cache, "eventhubs-interop")
	}
	dir, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func copyFiles(client, dir string, names ...string) error {
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join("clients", client, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
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
