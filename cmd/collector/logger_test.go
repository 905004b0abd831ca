package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// verbose is an error that, like those of the chunk store, spells out its origin when it is asked to.
type verbose struct{}

func (verbose) Error() string { return "short" }

func (verbose) Format(s fmt.State, _ rune) {
	_, _ = s.Write([]byte("short"))
	if s.Flag('+') {
		_, _ = s.Write([]byte("\nand a stack"))
	}
}

func TestLoggerKeepsErrorsShort(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, slog.LevelInfo).Error("it failed", "err", verbose{})
	if line := out.String(); strings.Contains(line, "stack") || !strings.HasSuffix(line, "err=short\n") {
		t.Fatalf("the line is %q", line)
	}
}
