// Package doctest lets a codec's tests check themselves against the hex examples of docs/format.md, so
// that the document and the code cannot drift apart.
package doctest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Example returns the bytes of the example called name: the fenced block that opens with
// "```hex name". Inside a block white space is free and "#" begins a comment.
func Example(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join(moduleRoot(t), "docs", "format.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```hex "+name+"\n")
	if !found {
		t.Fatalf("%s has no example %q", path, name)
	}
	block, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatalf("%s: example %q does not end", path, name)
	}
	var digits strings.Builder
	for line := range strings.SplitSeq(block, "\n") {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	bytes, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: example %q: %v", path, name, err)
	}
	return bytes
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}
