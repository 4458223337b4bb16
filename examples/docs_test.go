package examples_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the guides for users of other libraries. In their tables, the column "here" names
// parts of this package.
var documents = []string{"../docs/from-azeventhubs.md", "../docs/from-dotnet.md", "../docs/from-kafka.md"}

// elsewhere are names in the column "here" that belong to azcore.
var elsewhere = []string{"TokenCredential"}

var (
	code = regexp.MustCompile("`[^`]+`")
	name = regexp.MustCompile(`\b[A-Z]\w*`)
)

func TestMigrationDocumentsNameWhatThereIs(t *testing.T) {
	known := append(exportedNames(t), elsewhere...)
	for _, file := range documents {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, cell := range columnHere(string(text)) {
			for _, span := range code.FindAllString(cell, -1) {
				for _, n := range name.FindAllString(span, -1) {
					checked++
					if !slices.Contains(known, n) {
						t.Errorf("%s: the package has no %s: %s", file, n, strings.TrimSpace(cell))
					}
				}
			}
		}
		if checked < 20 {
			t.Errorf("%s: only %d names found in the columns %q", file, checked, "here")
		}
	}
}

// columnHere returns the cells of every table's column "here".
func columnHere(text string) (cells []string) {
	at := -1
	for line := range strings.Lines(text) {
		row := strings.Split(strings.TrimSpace(line), "|")
		switch header := slices.IndexFunc(row, func(cell string) bool { return strings.TrimSpace(cell) == "here" }); {
		case !strings.HasPrefix(line, "|"):
			at = -1
		case header >= 0:
			at = header
		case at >= 0 && at < len(row):
			cells = append(cells, row[at])
		}
	}
	return cells
}

// exportedNames returns the names of the package's types, functions, methods, fields, constants and variables.
func exportedNames(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				names = append(names, f.Name.Name)
				continue
			}
			for _, spec := range declaration.(*ast.GenDecl).Specs {
				names = append(names, namesOf(spec)...)
			}
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return !ast.IsExported(n) })
}

func namesOf(spec ast.Spec) (names []string) {
	var idents []*ast.Ident
	switch s := spec.(type) {
	case *ast.ValueSpec:
		idents = s.Names
	case *ast.TypeSpec:
		idents = append(idents, s.Name)
		if fields, ok := s.Type.(*ast.StructType); ok {
			for _, field := range fields.Fields.List {
				idents = append(idents, field.Names...)
			}
		}
	}
	for _, ident := range idents {
		names = append(names, ident.Name)
	}
	return names
}
