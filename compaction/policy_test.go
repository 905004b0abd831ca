package compaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

const day = 24 * time.Hour

var tiers = []model.Tier{model.TierRaw, model.Tier5m, model.Tier1h}

func TestRetentionOfAClass(t *testing.T) {
	tiered := Retention{Raw: 30 * day, FiveMinutes: 90 * day, Hour: 730 * day}
	cases := []struct {
		name          string
		byDefault     Retention
		rule, want    Retention
		wantByDefault Retention
	}{
		{"nothing set", Retention{}, Retention{}, Retention{Forever, Forever, Forever}, Retention{Forever, Forever, Forever}},
		{"raw by default", Retention{Raw: 7 * day}, Retention{}, Retention{7 * day, 7 * day, 7 * day}, Retention{7 * day, 7 * day, 7 * day}},
		{"rollups outlive raw", Retention{Raw: day, FiveMinutes: Forever}, Retention{}, Retention{day, Forever, Forever}, Retention{day, Forever, Forever}},
		{"an hour's alone", Retention{Raw: day, Hour: 9 * day}, Retention{}, Retention{day, day, 9 * day}, Retention{day, day, 9 * day}},
		{"a rule's raw holds for every tier", tiered, Retention{Raw: 2 * day}, Retention{2 * day, 2 * day, 2 * day}, tiered},
		{"a rule's raw and hour", tiered, Retention{Raw: 2 * day, Hour: 9 * day}, Retention{2 * day, 2 * day, 9 * day}, tiered},
		{"a rule's rollup amends the default", tiered, Retention{FiveMinutes: 180 * day}, Retention{30 * day, 180 * day, 730 * day}, tiered},
		{"a rule's rollup, the default's hour unset", Retention{Raw: day}, Retention{FiveMinutes: 9 * day},
			Retention{day, 9 * day, 9 * day}, Retention{day, day, day}},
		{"a rule's hour", tiered, Retention{Hour: Forever}, Retention{30 * day, 90 * day, Forever}, tiered},
		{"a rule that exempts", tiered, Retention{Raw: Forever}, Retention{Forever, Forever, Forever}, tiered},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := Policy{Default: c.byDefault, Rules: []Rule{{Match: "*", Retention: c.rule}}}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Of(1)); diff != "" {
				t.Errorf("rule, -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.wantByDefault, p.Of(0)); diff != "" {
				t.Errorf("default, -want +got:\n%s", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	rule := func(r Rule) []Rule { return []Rule{{Match: "a"}, r} }
	cases := []struct {
		name   string
		policy Policy
		want   string // the whole error; empty: valid
	}{
		{"zero", Policy{}, ""},
		{"most rules", Policy{Rules: manyRules(MaxRules)}, ""},
		{"too many rules", Policy{Rules: manyRules(MaxRules + 1)}, "retention.rules has 101 rules; at most 100 are allowed"},
		{"negative raw", Policy{Default: Retention{Raw: -1}}, "retention.raw is -1ns; it must not be negative"},
		{"short 5m", Policy{Default: Retention{Raw: 2 * day, FiveMinutes: day}}, "retention.5m is 1d; it must be at least as long as raw is kept, 2d"},
		{"short 1h", Policy{Default: Retention{Raw: day, FiveMinutes: 3 * day, Hour: 36 * time.Hour}},
			"retention.1h is 36h0m0s; it must be at least as long as 5m is kept, 3d"},
		{"raw for ever, 5m not", Policy{Default: Retention{FiveMinutes: day}}, "retention.5m is 1d; it must be at least as long as raw is kept, for ever"},
		{"no match", Policy{Rules: rule(Rule{})}, "retention.rules[1].match is empty; * selects every name"},
		{"long match", Policy{Rules: rule(Rule{Match: strings.Repeat("x", 257)})}, "retention.rules[1].match has 257 bytes; at most 256 are allowed"},
		{"odd match", Policy{Rules: rule(Rule{Match: "\xff"})}, "retention.rules[1].match is not valid UTF-8"},
		{"long source", Policy{Rules: rule(Rule{Match: "b", Source: strings.Repeat("x", 1025)})},
			"retention.rules[1].source has 1025 bytes; at most 1024 are allowed"},
		{"negative in a rule", Policy{Rules: rule(Rule{Match: "b", Retention: Retention{Hour: -1}})}, "retention.rules[1].1h is -1ns; it must not be negative"},
		{"a rule's 5m below the default's raw", Policy{Default: Retention{Raw: 30 * day}, Rules: rule(Rule{Match: "b", Retention: Retention{FiveMinutes: 20 * day}})},
			"retention.rules[1].5m is 20d; it must be at least as long as raw is kept, 30d"},
		{"a rule's 5m above the default's 1h", Policy{Default: Retention{Raw: day, Hour: 2 * day}, Rules: rule(Rule{Match: "b", Retention: Retention{FiveMinutes: 3 * day}})},
			"retention.rules[1].5m is 3d; it must not be longer than 1h is kept by default, 2d: set that too"},
		{"several faults", Policy{Default: Retention{Raw: -1}, Rules: []Rule{{}, {Match: "b", Retention: Retention{Raw: 2, Hour: 1}}}},
			"retention.raw is -1ns; it must not be negative\nretention.rules[0].match is empty; * selects every name\n" +
				"retention.rules[1].1h is 1ns; it must be at least as long as 5m is kept, 2ns"},
		{"a faulty default is told once", Policy{Default: Retention{Raw: 2, Hour: 1}, Rules: []Rule{{Match: "a"}}},
			"retention.1h is 1ns; it must be at least as long as 5m is kept, 2ns"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.policy.Validate()
			if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
				t.Errorf("error\n%v\nwant\n%s", err, c.want)
			}
			if field := new(FieldError); err != nil && !errors.As(err, &field) {
				t.Errorf("%v holds no FieldError", err)
			}
		})
	}
}

func manyRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		rules[i].Match = fmt.Sprintf("m%d", i)
	}
	return rules
}

func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	p := Policy{Rules: []Rule{
		{Match: "debug_*", Source: "edge-?"},
		{Match: "debug_keep"},
		{Match: "debug_*"},
		{Match: "*", Source: "lab"},
	}}
	for _, c := range []struct {
		name, source string
		want         int
	}{
		{"debug_keep", "edge-1", 1},
		{"debug_keep", "edge-10", 2},
		{"debug_x", "lab", 3},
		{"cpu", "lab", 4},
		{"cpu", "lab2", 0},
		{"debug", "edge-1", 0},
		{"", "", 0},
	} {
		if got := p.ClassOf(c.name, c.source); got != c.want {
			t.Errorf("%q from %q has class %d, want %d", c.name, c.source, got, c.want)
		}
	}
	if got := p.Classes(); got != 5 {
		t.Errorf("%d classes, want 5", got)
	}
}

func TestFloor(t *testing.T) {
	p := Policy{Default: Retention{Raw: day, Hour: Forever}, Rules: []Rule{{Match: "*", Retention: Retention{Raw: 2 * day}}}}
	now := int64(10 * day)
	for _, c := range []struct {
		class int
		tier  model.Tier
		now   int64
		want  int64
	}{
		{0, model.TierRaw, now, int64(9 * day)},
		{0, model.Tier5m, now, int64(9 * day)},
		{0, model.Tier1h, now, model.MinTime},
		{0, model.Tier1h, model.MaxTime, model.MinTime},
		{1, model.Tier1h, now, int64(8 * day)},
		{1, model.TierRaw, int64(2*day) + 1, 1},
		{1, model.TierRaw, int64(day), model.MinTime},
		{1, model.TierRaw, -1 << 62, model.MinTime},
	} {
		if got := p.Floor(c.class, c.tier, c.now); got != c.want {
			t.Errorf("class %d, %s at %d: floor %d, want %d", c.class, c.tier, c.now, got, c.want)
		}
	}
}

// TestPolicyKeepsItsPromises checks on random policies what everyone who uses one relies on.
func TestPolicyKeepsItsPromises(t *testing.T) {
	random := newRandom(t)
	valid := 0
	for range 20_000 {
		p := randomPolicy(random)
		if p.Validate() != nil {
			continue
		}
		valid++
		for _, tier := range tiers {
			shortest := p.Shortest(tier)
			seenShortest := false
			for class := range p.Classes() {
				kept := p.Of(class).Tier(tier)
				seenShortest = seenShortest || kept == shortest
				if kept <= 0 || kept < shortest || tier > 0 && kept < p.Of(class).Tier(tier-1) {
					t.Fatalf("class %d keeps %s for %s, the shortest is %s: %+v", class, tier, kept, shortest, p)
				}
			}
			if !seenShortest {
				t.Fatalf("no class has the shortest, %s: %+v", shortest, p)
			}
		}
		for i, rule := range p.Rules {
			for _, tier := range tiers {
				if given := rule.Tier(tier); given != 0 && p.Of(i+1).Tier(tier) != given {
					t.Fatalf("rule %d sets %s to %s and gets %s: %+v", i, tier, given, p.Of(i+1).Tier(tier), p)
				}
			}
		}
	}
	if valid < 1000 {
		t.Errorf("only %d policies were valid", valid)
	}
}

func randomPolicy(random *rand.Rand) Policy {
	p := Policy{Default: randomRetention(random)}
	for range random.IntN(4) {
		rule := Rule{Match: randomText(random, "ab?*", 1, 4), Retention: randomRetention(random)}
		if random.IntN(2) == 0 {
			rule.Source = randomText(random, "ab?*", 1, 3)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p
}

func randomRetention(random *rand.Rand) Retention {
	choice := []time.Duration{0, 0, 0, day, 2 * day, 3 * day, Forever}
	pick := func() time.Duration { return choice[random.IntN(len(choice))] }
	return Retention{Raw: pick(), FiveMinutes: pick(), Hour: pick()}
}

func randomText(random *rand.Rand, alphabet string, least, most int) string {
	letters := []rune(alphabet)
	text := make([]rune, least+random.IntN(most-least+1))
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

func TestGlobMatchesAsItsExpressionDoes(t *testing.T) {
	random := newRandom(t)
	toExpression := strings.NewReplacer(`\*`, ".*", `\?`, ".")
	matched := 0
	for range 50_000 {
		pattern, text := randomText(random, "a€.?**", 0, 7), randomText(random, "a€.", 0, 9)
		expression := regexp.MustCompile("(?s)^" + toExpression.Replace(regexp.QuoteMeta(pattern)) + "$")
		want := expression.MatchString(text)
		if got := matchGlob(pattern, text); got != want {
			t.Fatalf("glob %q on %q: %t, want %t", pattern, text, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d texts matched", matched)
	}
}

// BenchmarkClassOf is the worst that a policy may cost a new series: all rules, none of which selects it.
func BenchmarkClassOf(b *testing.B) {
	p := Policy{}
	for i := range MaxRules {
		p.Rules = append(p.Rules, Rule{Match: fmt.Sprintf("*_%d_*", i), Source: "edge-*"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if class := p.ClassOf("network_interface_bytes_total", "edge-router-17"); class != 0 {
			b.Fatal(class)
		}
	}
}
