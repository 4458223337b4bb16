package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// dotnetVariable names the program of clients/dotnet, for who has it ready.
const dotnetVariable = "INTEROP_DOTNET"

var dotnetFolder = filepath.Join("clients", "dotnet")

// prepareDotnet finds the program, or builds it if there is an SDK.
func prepareDotnet(ctx context.Context) ([]string, error) {
	if program := os.Getenv(dotnetVariable); program != "" {
		path, err := filepath.Abs(program)
		if err == nil {
			_, err = exec.LookPath(path)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is %q, which is no program: %w", dotnetVariable, program, err)
		}
		return []string{path}, nil
	}
	if _, err := exec.LookPath("dotnet"); err != nil {
		return nil, fmt.Errorf("the .NET client is missing: set %s to its program, as interop/clients/dotnet/README.md says, or install the .NET 10 SDK, with which it is built: %w", dotnetVariable, err)
	}
	sources, err := filepath.Glob(filepath.Join(dotnetFolder, "*.cs"))
	if err != nil {
		return nil, err
	}
	files := []string{"client.csproj"}
	for _, source := range sources {
		files = append(files, filepath.Base(source))
	}
	dir, err := setup.Install("dotnet", dotnetFolder, files, func(dir string) error {
		return setup.Command(ctx, dir, "dotnet", "publish", "--configuration", "Release", "--output", "out")
	})
	return []string{"dotnet", filepath.Join(dir, "out", "client.dll")}, err
}

var (
	dotnetPackage = regexp.MustCompile(`Include="Azure\.Messaging\.EventHubs" Version="([^"]+)"`)
	dotnetRuntime = regexp.MustCompile(`<TargetFramework>net([0-9]+)\.`)
)

// aboutDotnet reads what the program is built from.
func aboutDotnet() (version, runtime string, err error) {
	project, err := os.ReadFile(filepath.Join(dotnetFolder, "client.csproj"))
	if err != nil {
		return "", "", err
	}
	v, r := dotnetPackage.FindSubmatch(project), dotnetRuntime.FindSubmatch(project)
	if v == nil || r == nil {
		return "", "", fmt.Errorf("client.csproj names no version of Azure.Messaging.EventHubs, or no framework")
	}
	return string(v[1]), ".NET " + string(r[1]), nil
}
