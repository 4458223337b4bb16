package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

var dotnetFolder = filepath.Join("clients", "dotnet")

var (
	dotnetPackage = regexp.MustCompile(`Include="Azure\.Messaging\.EventHubs" Version="([^"]+)"`)
	dotnetRuntime = regexp.MustCompile(`<TargetFramework>net([0-9]+)\.`)
)

// aboutDotnet reads the program's version and framework from its project file.
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
