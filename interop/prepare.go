package main

import (
	"context"
	"path/filepath"
	"runtime"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

func prepareGo(ctx context.Context) ([]string, error) {
	dir, err := setup.CacheDirectory("go")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "client")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	return []string{program}, setup.Command(ctx, "", "go", "build", "-o", program, "./clients/go")
}

func prepareJavaScript(ctx context.Context) ([]string, error) {
	folder := filepath.Join("clients", "javascript")
	dir, err := setup.NPM(ctx, "javascript", folder)
	if err != nil {
		return nil, err
	}
	// Node.js searches packages from the script's place.
	return []string{"node", filepath.Join(dir, "client.mjs")}, setup.CopyFiles(folder, dir, "client.mjs")
}

func preparePython(ctx context.Context) ([]string, error) {
	if err := setup.Need("Python 3.9 or newer, with venv", "python3"); err != nil {
		return nil, err
	}
	program := filepath.Join("venv", "bin", "python")
	if runtime.GOOS == "windows" {
		program = filepath.Join("venv", "Scripts", "python.exe")
	}
	dir, err := setup.Install("python", filepath.Join("clients", "python"), []string{"requirements.txt"}, func(dir string) error {
		if err := setup.Command(ctx, dir, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return setup.Command(ctx, dir, filepath.Join(dir, program), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	})
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join("clients", "python", "client.py"))
	return []string{filepath.Join(dir, program), "-B", script}, err
}

func prepareJava(ctx context.Context) ([]string, error) {
	command, err := setup.Java(ctx, "java", filepath.Join("clients", "java"), "Client.java")
	return append(command, "interop.Client"), err
}
