package pipeline

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestFormulas(t *testing.T) {
	inputs := map[string]float64{"avg_cpu": 10, "max_memory": 4, "avg_system.cpu": 3, "p99.9_a-b": 7, "avg_x": -2.5}
	for _, c := range []struct {
		text  string
		want  float64
		names []string
	}{
		{"avg_cpu + max_memory", 14, []string{"avg_cpu", "max_memory"}},
		{"avg_cpu / max_memory", 2.5, []string{"avg_cpu", "max_memory"}},
		{"avg_cpu + avg_cpu", 20, []string{"avg_cpu"}},
		{"100 * avg_cpu ** 2", 10000, []string{"avg_cpu"}},
		{"-avg_cpu", -10, []string{"avg_cpu"}},
		{"7", 7, nil},
		{"7 / 2", 3.5, nil},
		{"avg_system.cpu * 2", 6, []string{"avg_system.cpu"}},
		{`column("p99.9_a-b") - 1`, 6, []string{"p99.9_a-b"}},
		{"avg_cpu > 9", 1, []string{"avg_cpu"}},
		{"avg_cpu > 9 && max_memory > 9", 0, []string{"avg_cpu", "max_memory"}},
		{"avg_cpu > 9 ? max_memory : 0", 4, []string{"avg_cpu", "max_memory"}},
		{"max(avg_cpu, max_memory, 100)", 100, []string{"avg_cpu", "max_memory"}},
		{"min(avg_cpu, max_memory)", 4, []string{"avg_cpu", "max_memory"}},
		{"abs(avg_x) + floor(avg_x) + ceil(avg_x)", 2.5 - 3 - 2, []string{"avg_x"}},
		{"sqrt(max_memory) + log2(max_memory)", 4, []string{"max_memory"}},
		{"avg_cpu / 0", math.Inf(1), []string{"avg_cpu"}},
		{"9223372036854775807 + 1", 1 << 63, nil},
		{"avg_cpu / (4294967296 * 4294967296)", 10.0 / (1 << 64), []string{"avg_cpu"}},
		{"sqrt(max(4, 9))", 3, nil},
		{"avg_cpu in [10, 20]", 1, []string{"avg_cpu"}},
	} {
		f, err := compileFormula(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		e := f.evaluator()
		for name, value := range inputs {
			e.env[name] = value
		}
		if got, err := e.compute(); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.text, got, err, c.want)
		}
		if !slices.Equal(f.names, c.names) {
			t.Errorf("%s: names %q, want %q", c.text, f.names, c.names)
		}
	}
}

func TestBadFormulas(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"avg_cpu +", "character 9"},
		{"avg_cpu + + max", "at character 11"},
		{`"text"`, "it has a text in it"},
		{`avg_cpu + "text"`, "mismatched types"},
		{`"aaaa" matches "(a?a?){90}b"`, "it has a text in it"},
		{`avg_cpu > 1 ? "a" in ["b"] : column("a.b") > 1`, "it has a text in it"},
		{`{"a": 1}.a`, "it has a text in it"},
		{"avg_cpu in 1..3", "invalid operation: .."},
		{"[1, 2]", "a number is needed"},
		{"now()", "unknown name now"},
		{"map(1..10, # * 2)", ""},
		{"repeat(\"a\", 1000000)", "unknown name repeat"},
		{"avg_cpu(1)", "unknown name avg_cpu"},
		{"let a = 1; a + 1", "let is not available"},
		{"$env", "$env is not available"},
		{`$env["avg_cpu"]`, "$env is not available"},
		{"column(avg_cpu)", ""},
		{"sqrt(1, 2)", "too many arguments"},
		{strings.Repeat("1+", 1100) + "1", "at most 2048"},
		{strings.Repeat("1+", 900) + "1", "node"},
	} {
		f, err := compileFormula(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %v (%+v), want %q", c.text, err, f, c.want)
		}
	}
}

func FuzzFormula(f *testing.F) {
	for _, seed := range []string{"avg_cpu + max_memory", `column("a.b") > 1 ? 2 : 3`, "a.b.c ** -1", "1..9", "x ?? 1", "not a and b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := compileFormula(text)
		if err != nil {
			return
		}
		e := compiled.evaluator()
		for _, name := range compiled.names {
			e.env[name] = 2.0
		}
		_, _ = e.compute() // whatever it is, it must not panic
	})
}
