package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A reader of ARCHITECTURE.md opens the files that it names, and searches for the types and
// functions.
func TestTheFilesAndNamesOfTheArchitectureExist(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := declarations(t)
	names := 0
	for _, quoted := range regexp.MustCompile("`([A-Za-z_][\\w./-]*)`").FindAllStringSubmatch(string(text), -1) {
		name := quoted[1]
		file := strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".md") || strings.Contains(name, "/")
		switch {
		case file:
			if _, err := os.Stat(filepath.Join("..", name)); err != nil {
				t.Errorf("ARCHITECTURE.md names %s, which is no file or folder", name)
			}
		case strings.Contains(name, ".") && !standard[name[:strings.Index(name, ".")]]:
			if !declared[name] {
				t.Errorf("ARCHITECTURE.md names %s, which no file declares", name)
			}
		default:
			continue
		}
		names++
	}
	if names < 150 {
		t.Errorf("Only %d names were found: the page has more.", names)
	}
	rows, inTable := 0, false
	for line := range strings.Lines(string(text)) {
		inTable = inTable && strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| to change")
		if !inTable || strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		here := map[string]bool{}
		quoted := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1)
		for _, q := range quoted {
			if strings.HasSuffix(q[1], ".go") {
				declare(t, filepath.Join("..", q[1]), here)
			}
		}
		for _, q := range quoted {
			if name := q[1]; !strings.ContainsAny(name, "/") && !strings.HasSuffix(name, ".go") && !here[name] {
				t.Errorf("the table names %s, which no file of its row declares: %s", name, line)
			}
		}
	}
	if rows < 25 {
		t.Errorf("The table of what to open has %d rows, want at least 25.", rows)
	}
}

// standard holds the packages and keywords that ARCHITECTURE.md names with a dot.
var standard = map[string]bool{"sync": true, "runtime": true, "testing": true, "go": true}

// declarations returns the declarations of the Go files: types, functions, variables, Type.method
// and Type.field. A function outside the root package is also there as package.function.
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, path := range filesOf(t, ".go") {
		declare(t, path, all)
	}
	for _, of := range [...]string{"partition", "staging"} { // both embed a queue
		all[of+".mu"] = all["queue.mu"]
	}
	return all
}

// declare adds what one file declares.
func declare(t *testing.T, path string, all map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if decl.Recv != nil {
				name = typeName(decl.Recv.List[0].Type) + "." + name
			} else {
				all[file.Name.Name+"."+name] = true
			}
			all[name] = true
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						all[n.Name] = true
					}
				case *ast.TypeSpec:
					all[spec.Name.Name] = true
					for _, member := range members(spec.Type) {
						all[spec.Name.Name+"."+member] = true
					}
				}
			}
		}
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// members returns the names of a struct's fields or an interface's methods.
func members(e ast.Expr) (names []string) {
	var list *ast.FieldList
	switch e := e.(type) {
	case *ast.StructType:
		list = e.Fields
	case *ast.InterfaceType:
		list = e.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, n := range f.Names {
			names = append(names, n.Name)
		}
	}
	return names
}
