package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/flopynet/collector"

// root is the module's folder, seen from this package.
const root = "../.."

// source is a parsed Go file.
type source struct {
	path   string // from the module's root, with slashes
	dir    string // its folder, which is its package: "engine", "internal/head"
	isTest bool
	lines  int
	file   *ast.File
	files  *token.FileSet
}

// line returns the line of a node.
func (s source) line(position token.Pos) int { return s.files.Position(position).Line }

// filesOf returns the paths, from the root and with slashes, of all files whose name ends in suffix.
// Folders that hold no source (hidden ones but .ci, built binaries, data) are left out.
func filesOf(t *testing.T, suffix string) []string {
	t.Helper()
	var paths []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && name != "." && name != ".ci"
			if hidden || name == "bin" || name == "data" || name == "bench/out" || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if name == ".git" { // a file, in a worktree
			return nil
		}
		if entry.Type().IsRegular() && strings.HasSuffix(name, suffix) {
			paths = append(paths, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no files that end in %q: is %s the module's folder?", suffix, root)
	}
	return paths
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goSources parses every Go file of the module.
func goSources(t *testing.T) []source {
	t.Helper()
	var sources []source
	for _, name := range filesOf(t, ".go") {
		text := read(t, name)
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, source{
			path: name, dir: path.Dir(name), isTest: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(text, "\n"), file: file, files: files,
		})
	}
	return sources
}

// importsOf returns the import paths of a file.
func importsOf(t *testing.T, s source) []string {
	t.Helper()
	var paths []string
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, imported)
	}
	return paths
}

// selectorsOf calls visit for each use of something from the package importPath, such as time.Now, under
// whatever names the file imports it.
func selectorsOf(s source, importPath string, visit func(name string, at token.Pos)) {
	local := map[string]bool{}
	for _, spec := range s.file.Imports {
		if spec.Path.Value == strconv.Quote(importPath) {
			if spec.Name != nil {
				local[spec.Name.Name] = true
			} else {
				local[packageName(importPath)] = true
			}
		}
	}
	ast.Inspect(s.file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if base, ok := selector.X.(*ast.Ident); ok && local[base.Name] {
				visit(selector.Sel.Name, selector.Pos())
			}
		}
		return true
	})
}

// packageName is the last element of an import path that isn't a major version.
func packageName(importPath string) string {
	base := path.Base(importPath)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		return path.Base(path.Dir(importPath))
	}
	return base
}
