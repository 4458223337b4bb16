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

// The documentation of an exported declaration links, once, each other one that it names by a name of several words: that is no word of a sentence.
func TestDocumentationLinksWhatItNames(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	type declaration struct{ path, name, doc string }
	var declarations []declaration
	known := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
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
			if strings.HasPrefix(line, "\t") { // code
				continue
			}
			for _, name := range word.FindAllString(line, -1) {
				if !known[name] || name == "MarshalText" || name == "LogValue" { // which stand beside what names them
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

// receiver is the name of a method's type.
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
