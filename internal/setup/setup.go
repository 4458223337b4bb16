// Package setup serves interop and bench: it installs other projects' programs below the user's
// cache directory, once for each set of pinned versions.
package setup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// stamp is the file that marks a completed installation.
const stamp = "complete"

// Need fails if a required program is missing. The text says what to install.
func Need(what string, programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing; install %s from your system's packages (on Debian: apt-get install nodejs npm python3-venv openjdk-17-jdk-headless maven): %w", program, what, err)
		}
	}
	return nil
}

// Install copies the named files of a folder to a directory that depends on their content, and runs
// steps there unless that was done before. It returns the directory, whose name begins with the
// given one.
func Install(name, folder string, files []string, steps func(dir string) error) (string, error) {
	hash := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return "", fmt.Errorf("run this in its module's folder, as with go -C interop or go -C bench: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n", file, len(content))
		hash.Write(content)
	}
	dir, err := CacheDirectory(name + "-" + hex.EncodeToString(hash.Sum(nil)[:6]))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, stamp)); err == nil {
		return dir, nil
	}
	if err := CopyFiles(folder, dir, files...); err != nil {
		return "", err
	}
	if err := steps(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, stamp), nil, 0o644)
}

// CacheDirectory makes a directory outside the source tree and returns its absolute path. It is
// below the directory in the environment variable INTEROP_CACHE, or else below the user's cache
// directory.
func CacheDirectory(name string) (string, error) {
	root := os.Getenv("INTEROP_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("set INTEROP_CACHE to a directory for what is installed: %w", err)
		}
		root = filepath.Join(cache, "eventhubs-interop")
	}
	dir, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// CopyFiles copies files of a folder, and of folders in it, to a directory.
func CopyFiles(folder, dir string, names ...string) error {
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Command runs a program in a directory; its error contains the program's output.
func Command(ctx context.Context, dir, program string, args ...string) error {
	return CommandWith(ctx, dir, nil, program, args...)
}

// CommandWith is Command with more environment variables.
func CommandWith(ctx context.Context, dir string, environment []string, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), environment...)
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w\n%s", program, args, errors.Join(err, context.Cause(ctx)), output)
	}
	return nil
}

// Executable is the name of a program's file on this system.
func Executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// Go builds a package of the module in a folder as a program with that name, alone in a directory.
// It returns the program's path. It builds each time, which costs little if nothing has changed.
func Go(ctx context.Context, name, folder, source string) (path string, err error) {
	dir, err := CacheDirectory(name)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, Executable(name))
	return path, Command(ctx, folder, "go", "build", "-trimpath", "-o", path, source)
}

// NPM installs the packages that a folder's package-lock.json pins.
func NPM(ctx context.Context, name, folder string) (dir string, err error) {
	if err := Need("Node.js 20 or newer, with npm", "node", "npm"); err != nil {
		return "", err
	}
	return Install(name, folder, []string{"package.json", "package-lock.json"}, func(dir string) error {
		return Command(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
}

// Python installs the packages that a folder's requirements.txt pins, all of them, into a virtual
// environment, and returns its Python.
func Python(ctx context.Context, name, folder string) (program string, err error) {
	if err := Need("Python 3.9 or newer, with venv", "python3"); err != nil {
		return "", err
	}
	program = filepath.Join("venv", "bin", "python")
	if runtime.GOOS == "windows" {
		program = filepath.Join("venv", "Scripts", "python.exe")
	}
	dir, err := Install(name, folder, []string{"requirements.txt"}, func(dir string) error {
		if err := Command(ctx, dir, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return Command(ctx, dir, filepath.Join(dir, program), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	})
	return filepath.Join(dir, program), err
}

// LockCargo gives the Cargo.lock of a folder the registry that Cargo uses. The file that is kept
// here names none.
func LockCargo(ctx context.Context, dir string) error {
	name := filepath.Join(dir, "Cargo.lock")
	pinned, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	if err := Command(ctx, dir, "cargo", "generate-lockfile", "--quiet"); err != nil { // the newest of all, which is not used
		return err
	}
	newest, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	source := regexp.MustCompile(`(?m)^source = "registry\+.*"$`).Find(newest)
	if source == nil {
		return fmt.Errorf("%s names no registry", name)
	}
	return os.WriteFile(name, bytes.ReplaceAll(pinned, []byte(`source = "registry"`), source), 0o644)
}

// Cargo builds a program of a folder's sources with the crates that its Cargo.lock pins. It returns
// the program's path.
func Cargo(ctx context.Context, name, folder, program string, sources ...string) (path string, err error) {
	if _, err := exec.LookPath("cargo"); err != nil {
		return "", fmt.Errorf("cargo is missing; install Rust 1.88 or newer, with rustup or from your system's packages: %w", err)
	}
	dir, err := Install(name, folder, append([]string{"Cargo.toml", "Cargo.lock"}, sources...), func(dir string) error {
		if err := LockCargo(ctx, dir); err != nil {
			return err
		}
		// The directory is named here, so that the variable CARGO_TARGET_DIR does not count.
		return Command(ctx, dir, "cargo", "build", "--locked", "--quiet", "--target-dir", "target")
	})
	return filepath.Join(dir, "target", "debug", Executable(program)), err
}

// Java installs the libraries that a folder's pom.xml names, and compiles sources with them. The
// sources are in the folder, or in one beside it: ../java/Checks.java. It returns the beginning of a
// command; the caller appends the class with the main method.
func Java(ctx context.Context, name, folder string, sources ...string) (command []string, err error) {
	if err := Need("a JDK 17 or newer, and Maven 3.8", "java", "javac", "mvn"); err != nil {
		return nil, err
	}
	parent, own := filepath.Split(folder)
	files := []string{filepath.Join(own, "pom.xml")}
	for _, source := range sources {
		files = append(files, filepath.Join(own, source))
	}
	dir, err := Install(name, parent, files, func(dir string) error {
		dir = filepath.Join(dir, own)
		// Maven only resolves: the compiler needs no plugin, which would have to be fetched too.
		if err := Command(ctx, dir, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"); err != nil {
			return err
		}
		return Command(ctx, dir, "javac", append([]string{"-cp", filepath.Join("lib", "*"), "-d", "classes"}, sources...)...)
	})
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, own)
	path := filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
	// For a short run the first compiler alone is better.
	return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", path}, nil
}
