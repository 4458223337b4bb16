package eventhubs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A doc link without a target is shown with its brackets, and names something that no longer
// exists.
func TestDocLinksLeadSomewhere(t *testing.T) {
	names, comments := map[string]bool{}, map[string]string{}
	for path, file := range sources(t) {
		for _, c := range file.Comments {
			comments[path] += c.Text() + "\n"
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				name := n.Name.Name
				if n.Recv != nil {
					name = receiver(n) + "." + name
				}
				names[name] = true
				return false
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			case *ast.TypeSpec:
				names[n.Name.Name] = true
				var members *ast.FieldList
				switch of := n.Type.(type) {
				case *ast.StructType:
					members = of.Fields
				case *ast.InterfaceType:
					members = of.Methods
				}
				if members != nil {
					for _, m := range members.List {
						for _, name := range m.Names {
							names[n.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	link, links := regexp.MustCompile(`(?:^|[\s("])\[\*?([A-Z]\w*(?:\.[A-Z]\w*)?)\]`), 0
	for path, text := range comments {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if links++; !names[m[1]] {
				t.Errorf("%s: the link %s leads nowhere", path, m[0])
			}
		}
	}
	if links < 50 {
		t.Errorf("there are %d links only", links)
	}
}

// The documentation of an exported declaration links each other declaration that it names, once.
// Only names of several words count: no sentence uses those by chance.
func TestDocumentationLinksWhatItNames(t *testing.T) {
	type declaration struct{ path, name, doc string }
	var declarations []declaration
	known := map[string]bool{}
	for path, file := range sources(t) {
		declarations = append(declarations, declaration{path, file.Name.Name, file.Doc.Text()})
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
					known[d.Name.Name] = true
					declarations = append(declarations, declaration{path, d.Name.Name, d.Doc.Text()})
				}
			case *ast.GenDecl:
				exported := ""
				for _, spec := range d.Specs {
					var names []*ast.Ident
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						names = append(names, spec.Name)
					case *ast.ValueSpec:
						names = spec.Names
					}
					for _, name := range names {
						if name.IsExported() {
							known[name.Name], exported = true, name.Name
						}
					}
				}
				if exported != "" {
					declarations = append(declarations, declaration{path, exported, d.Doc.Text()})
				}
			}
		}
	}
	word, link, names := regexp.MustCompile(`\b[A-Z][a-z]+[A-Z]\w*\b`), regexp.MustCompile(`\[\*?(?:\w+\.)?(\w+)\](?:\.\w+)?`), 0
	for _, d := range declarations {
		linked := map[string]bool{d.name: true}
		for _, m := range link.FindAllStringSubmatch(d.doc, -1) {
			linked[m[1]] = true
		}
		for line := range strings.Lines(link.ReplaceAllString(d.doc, "")) {
			if strings.HasPrefix(line, "\t") { // a line of code
				continue
			}
			for _, name := range word.FindAllString(line, -1) {
				// The documentation of these two does not need a link.
				if !known[name] || name == "MarshalText" || name == "LogValue" {
					continue
				}
				if names++; !linked[name] {
					t.Errorf("%s: the documentation of %s names %s without a link", d.path, d.name, name)
					linked[name] = true
				}
			}
		}
	}
	if len(declarations) < 150 || names < 5 {
		t.Errorf("%d declarations were found, and %d names", len(declarations), names)
	}
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	of := d.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if of, ok := of.(*ast.Ident); ok {
		return of.Name
	}
	return ""
}

// sources returns the files of the package, without its tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
