package tidy

import (
	"bytes"
	"go/ast"
	"go/format"
	"testing"
)

// Lengths in lines. Longer files usually hold a second noun, longer functions a second thought.
const (
	maxFileLines     = 450
	maxTestFileLines = 800
	maxFunctionLines = 70
)

func TestFilesAreShort(t *testing.T) {
	for _, s := range goSources(t) {
		limit := maxFileLines
		if s.isTest {
			limit = maxTestFileLines
		}
		if s.lines > limit && !ast.IsGenerated(s.file) {
			t.Errorf("%s has %d lines, at most %d are allowed: is there a second noun in it?", s.path, s.lines, limit)
		}
	}
}

func TestFunctionsFitAScreen(t *testing.T) {
	for _, s := range goSources(t) {
		if s.isTest || ast.IsGenerated(s.file) {
			continue
		}
		for _, declaration := range s.file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := s.line(function.End()) - s.line(function.Pos()) + 1; lines > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, at most %d are allowed", s.path, s.line(function.Pos()), function.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

func TestSourceIsFormatted(t *testing.T) {
	for _, name := range filesOf(t, ".go") {
		text := []byte(read(t, name))
		formatted, err := format.Source(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(text, formatted) {
			t.Errorf("%s is not formatted; run gofmt -w %s", name, name)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range goSources(t) {
		if !s.isTest {
			documented[s.dir] = documented[s.dir] || s.file.Doc != nil
		}
	}
	for dir, found := range documented {
		if !found {
			t.Errorf("the package %s has no comment; it belongs into %s/doc.go", dir, dir)
		}
	}
}
