package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// DotNetVariable names the environment variable with the path of a ready-built program of
// interop/clients/dotnet.
const DotNetVariable = "INTEROP_DOTNET"

// dotNetFolder has the program's sources, seen from interop's folder.
var dotNetFolder = filepath.Join("clients", "dotnet")

// NamedDotNet is the path of the program that DotNetVariable names; empty if the variable is empty.
func NamedDotNet() (path string, err error) {
	program := os.Getenv(DotNetVariable)
	if program == "" {
		return "", nil
	}
	if path, err = filepath.Abs(program); err == nil {
		_, err = exec.LookPath(path)
	}
	if err != nil {
		return "", fmt.Errorf("%s is %q, which is no program: %w", DotNetVariable, program, err)
	}
	return path, nil
}

// DotNet finds the program with sources in interop/clients/dotnet, or builds it if there is an SDK.
// It must run in interop's folder.
func DotNet(ctx context.Context) (command []string, err error) {
	switch path, err := NamedDotNet(); {
	case err != nil:
		return nil, err
	case path != "":
		return []string{path}, nil
	}
	if _, err := exec.LookPath("dotnet"); err != nil {
		return nil, fmt.Errorf("the .NET client is missing: set %s to its program, as interop/clients/dotnet/README.md says, or install the .NET 10 SDK, with which it is built: %w", DotNetVariable, err)
	}
	sources, err := filepath.Glob(filepath.Join(dotNetFolder, "*.cs"))
	if err != nil {
		return nil, err
	}
	files := []string{"client.csproj"}
	for _, source := range sources {
		files = append(files, filepath.Base(source))
	}
	dir, err := Install("dotnet", dotNetFolder, files, func(dir string) error {
		return Command(ctx, dir, "dotnet", "publish", "--configuration", "Release", "--output", "out")
	})
	return []string{"dotnet", filepath.Join(dir, "out", "client.dll")}, err
}

var (
	dotNetPackage = regexp.MustCompile(`Include="Azure\.Messaging\.EventHubs" Version="([^"]+)"`)
	dotNetRuntime = regexp.MustCompile(`<TargetFramework>net([0-9]+)\.`)
)

// AboutDotNet reads the version of the program's client, and its framework, from its project file.
// It must run in interop's folder.
func AboutDotNet() (version, runtime string, err error) {
	project, err := os.ReadFile(filepath.Join(dotNetFolder, "client.csproj"))
	if err != nil {
		return "", "", err
	}
	v, r := dotNetPackage.FindSubmatch(project), dotNetRuntime.FindSubmatch(project)
	if v == nil || r == nil {
		return "", "", errors.New("client.csproj names no version of Azure.Messaging.EventHubs, or no framework")
	}
	return string(v[1]), ".NET " + string(r[1]), nil
}
