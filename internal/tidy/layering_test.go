package tidy

import (
	"go/token"
	"slices"
	"strings"
	"testing"
)

// mayImport is the house: what each package may import of this module. A package imports only what
// stands above it in this list.
var mayImport = []struct {
	dir     string
	imports []string
}{
	{"model", nil},

	{"internal/doctest", nil},
	{"internal/invariants", nil},
	{"internal/tidy", nil},
	{"internal/timefmt", []string{"model"}},
	{"internal/numfmt", nil},
	{"internal/column", nil},
	{"internal/sketch", nil},
	{"internal/quantile", nil},
	{"internal/chunk", []string{"model", "internal/invariants", "internal/column"}},
	{"internal/rollup", []string{"model", "internal/column", "internal/sketch"}},
	{"internal/merge", []string{"model", "internal/invariants", "internal/chunk"}},
	{"internal/keys", []string{"model"}},

	{"wal/record", []string{"model"}},
	{"wal", []string{"model", "wal/record"}},
	{"internal/head", []string{"model", "internal/chunk"}},
	{"index", []string{"model", "internal/keys"}},
	{"compaction", []string{"model", "internal/invariants", "internal/chunk", "internal/merge", "internal/keys", "internal/rollup", "internal/sketch"}},

	{"engine", []string{"model", "internal/invariants", "internal/chunk", "internal/merge", "internal/keys",
		"internal/rollup", "internal/sketch", "internal/quantile", "internal/head", "wal", "wal/record", "index", "compaction"}},

	{"config", []string{"model", "engine"}},
	{"internal/alert", []string{"model", "engine"}},
	{"internal/telemetry", []string{"model", "engine"}},
	{"internal/rawcache", []string{"engine"}},
	{"internal/ingest", []string{"model", "engine", "internal/timefmt"}},
	{"internal/lineproto", []string{"model", "engine", "internal/rawcache"}},
	{"internal/remotewrite", []string{"model", "engine", "internal/rawcache"}},
	{"internal/testbed", nil},
	{"flopynet", []string{"model", "engine", "internal/timefmt"}},
	{"analysis", []string{"model", "engine"}},
	{"pipeline", []string{"model", "engine", "internal/timefmt", "internal/numfmt"}},
	{"internal/export", []string{"model", "engine", "internal/timefmt", "internal/numfmt"}},

	{"httpapi", []string{
		"model", "engine", "internal/timefmt", "internal/numfmt", "internal/telemetry", "internal/ingest", "internal/lineproto",
		"internal/remotewrite", "internal/rawcache", "internal/export", "config", "flopynet", "analysis", "pipeline",
	}},
	{"web", nil},
	{"bench", []string{"model", "engine", "internal/timefmt", "internal/ingest", "internal/export", "httpapi"}},
	{"bench/tsdb", []string{"model", "engine", "internal/chunk"}},
	{"bench/remotewrite", nil},
	{"bench/time", []string{"model", "engine"}},
	{"cmd/collector", []string{
		"model", "engine", "internal/timefmt", "internal/alert", "internal/telemetry", "internal/ingest", "internal/export",
		"internal/testbed", "config", "flopynet", "analysis", "pipeline", "httpapi", "web", "bench",
	}},
}

// testSupport may be imported by any test, and by nothing else but what mayImport says.
var testSupport = []string{"internal/doctest", "internal/testbed"}

// onlyIn confines a dependency to the packages that wrap it, so that it can be changed there.
var onlyIn = []struct {
	prefix string // of the import path
	dirs   []string
}{
	{"github.com/cockroachdb/pebble/v2", []string{"engine", "index", "compaction", "wal", "internal/keys"}},
	{"github.com/valyala/fasthttp", []string{"httpapi", "bench"}},
	{"github.com/fasthttp/", []string{"httpapi", "bench"}},
	{"github.com/apache/arrow", []string{"internal/export", "bench"}}, // bench reads what was exported
	{"github.com/shirou/gopsutil", []string{"flopynet"}},
	{"github.com/prometheus/client_golang", []string{"internal/telemetry"}},
	{"github.com/prometheus/common/expfmt", []string{"internal/telemetry"}},
	{"github.com/expr-lang/expr", []string{"pipeline"}},
	{"github.com/alecthomas/kong", []string{"cmd/collector"}},
	{"go.yaml.in/yaml", []string{"config", "httpapi"}},
}

func TestArrowsPointDown(t *testing.T) {
	allowed := map[string][]string{}
	for _, row := range mayImport {
		for _, imported := range row.imports {
			if _, above := allowed[imported]; !above {
				t.Errorf("%s may import %s, which doesn't stand above it in the list", row.dir, imported)
			}
		}
		allowed[row.dir] = row.imports
	}
	for _, s := range goSources(t) {
		permitted, known := allowed[s.dir]
		if !known {
			t.Errorf("%s: the package %s has no place in mayImport yet", s.path, s.dir)
			continue
		}
		for _, imported := range importsOf(t, s) {
			dir, ours := strings.CutPrefix(imported, modulePath+"/")
			switch {
			case !ours || slices.Contains(permitted, dir):
			case s.isTest && (dir == s.dir || slices.Contains(testSupport, dir)):
			default:
				t.Errorf("%s imports %s; %s may import %v of this module", s.path, dir, s.dir, permitted)
			}
		}
	}
}

func TestModelImportsTheStandardLibraryOnly(t *testing.T) {
	for _, s := range goSources(t) {
		if s.dir != "model" || s.isTest {
			continue
		}
		for _, imported := range importsOf(t, s) {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", s.path, imported)
			}
		}
	}
}

func TestDependenciesStayInTheirWrappers(t *testing.T) {
	for _, s := range goSources(t) {
		if s.isTest {
			continue
		}
		for _, imported := range importsOf(t, s) {
			for _, rule := range onlyIn {
				if strings.HasPrefix(imported, rule.prefix) && !slices.Contains(rule.dirs, s.dir) {
					t.Errorf("%s imports %s, which is for %v alone", s.path, imported, rule.dirs)
				}
			}
		}
	}
}

// TestOnlyTheEngineNamesTheStore keeps index and compaction to readers and batches: what they decide is
// committed by the engine.
func TestOnlyTheEngineNamesTheStore(t *testing.T) {
	for _, s := range goSources(t) {
		if s.isTest || s.dir == "engine" {
			continue
		}
		selectorsOf(s, "github.com/cockroachdb/pebble/v2", func(name string, at token.Pos) {
			if name == "DB" || name == "Open" {
				t.Errorf("%s:%d names pebble.%s; take a pebble.Reader and a *pebble.Batch", s.path, s.line(at), name)
			}
		})
	}
}
