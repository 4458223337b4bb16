package setup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// dotnetVariable names the program of interop/clients/dotnet, for who has it ready.
const dotnetVariable = "INTEROP_DOTNET"

// DotNet finds the program whose sources are in interop/clients/dotnet, or builds it if there is an SDK. It runs in interop's folder.
func DotNet(ctx context.Context) (command []string, err error) {
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
	folder := filepath.Join("clients", "dotnet")
	sources, err := filepath.Glob(filepath.Join(folder, "*.cs"))
	if err != nil {
		return nil, err
	}
	files := []string{"client.csproj"}
	for _, source := range sources {
		files = append(files, filepath.Base(source))
	}
	dir, err := Install("dotnet", folder, files, func(dir string) error {
		return Command(ctx, dir, "dotnet", "publish", "--configuration", "Release", "--output", "out")
	})
	return []string{"dotnet", filepath.Join(dir, "out", "client.dll")}, err
}
