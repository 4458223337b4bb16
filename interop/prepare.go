package main

import (
	"context"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

func prepareGo(ctx context.Context) ([]string, error) {
	program, err := setup.Go(ctx, "client-go", "", "./clients/go")
	return []string{program}, err
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
	folder := filepath.Join("clients", "python")
	python, err := setup.Python(ctx, "python", folder)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join(folder, "client.py"))
	return []string{python, "-B", script}, err
}

func prepareJava(ctx context.Context) ([]string, error) {
	command, err := setup.Java(ctx, "java", filepath.Join("clients", "java"), "Client.java", "Checks.java")
	return append(command, "interop.Client"), err
}

func prepareJavaLegacy(ctx context.Context) ([]string, error) {
	command, err := setup.Java(ctx, "java-legacy", filepath.Join("clients", "java-legacy"), "Legacy.java", filepath.Join("..", "java", "Checks.java"))
	return append(command, "interop.Legacy"), err
}

func prepareRust(ctx context.Context) ([]string, error) {
	program, err := setup.Cargo(ctx, "rust", filepath.Join("clients", "rust"), "client", "build.rs", "main.rs")
	return []string{program}, err
}
