package compaction

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/flopynet/collector/model"
)

// Forever is the retention of what is never dropped. It is longer than any other.
const Forever time.Duration = math.MaxInt64

// MaxRules bounds the rules of a policy.
const MaxRules = 100

// Retention says how long the samples of a series, and its rollups of five minutes and of an hour, are
// kept. Zero is not set; Policy says what then holds.
type Retention struct {
	Raw         time.Duration
	FiveMinutes time.Duration
	Hour        time.Duration
}

// Rule gives the series that it selects a retention of their own.
type Rule struct {
	Match  string // the metric's whole name; * stands for any text, ? for any one character
	Source string // likewise; empty: any source
	Retention
}

// Policy says how long everything is kept. The zero value keeps everything for ever.
//
// The first rule that selects a series holds for it; the default holds for the others. A rule that sets raw
// stands by itself; one that doesn't amends the default, in the tiers that it sets. Then raw samples whose
// retention isn't set are kept for ever, and rollups as long as the next finer tier. So a rule with nothing
// but a raw of two days means that after two days nothing is left of the metric, in any tier.
type Policy struct {
	Default Retention
	Rules   []Rule
}

// FieldError says what is wrong with one field of a policy.
type FieldError struct {
	Rule    int    // its index; -1: the field is the policy's own
	Field   string // match, source, raw, 5m or 1h; of the policy itself also rules
	Problem string // what was given and what is allowed; to be read behind the field's name
}

func (e *FieldError) Error() string {
	if e.Rule < 0 {
		return fmt.Sprintf("retention.%s %s", e.Field, e.Problem)
	}
	return fmt.Sprintf("retention.rules[%d].%s %s", e.Rule, e.Field, e.Problem)
}

// Validate reports what is wrong with the policy: the Faults, joined.
func (p Policy) Validate() error {
	var faults []error
	for _, fault := range p.Faults() {
		faults = append(faults, fault)
	}
	return errors.Join(faults...)
}

// Faults returns what is wrong with the policy, for callers who have names of their own for its fields. A
// rule that builds on a faulty default isn't looked at in full.
func (p Policy) Faults() []*FieldError {
	if len(p.Rules) > MaxRules {
		return []*FieldError{{Rule: -1, Field: "rules", Problem: fmt.Sprintf("has %d rules; at most %d are allowed", len(p.Rules), MaxRules)}}
	}
	var faults []*FieldError
	if fault := p.Default.fault(p.Of(0)); fault != nil {
		fault.Rule = -1
		faults = append(faults, fault)
	}
	defaultIsGood := len(faults) == 0
	for i, rule := range p.Rules {
		if problem := patternProblem(rule.Match, model.MaxNameBytes); problem != "" {
			faults = append(faults, &FieldError{Rule: i, Field: "match", Problem: problem})
		}
		if rule.Source != "" {
			if problem := patternProblem(rule.Source, model.MaxTagValueBytes); problem != "" {
				faults = append(faults, &FieldError{Rule: i, Field: "source", Problem: problem})
			}
		}
		if rule.Raw == 0 && !defaultIsGood {
			continue // the fault may be that of the default
		}
		if fault := rule.fault(p.Of(i + 1)); fault != nil {
			fault.Rule = i
			faults = append(faults, fault)
		}
	}
	return faults
}

// fault returns the first fault of a retention, given what holds once every tier is decided.
func (r Retention) fault(resolved Retention) *FieldError {
	for _, tier := range []model.Tier{model.TierRaw, model.Tier5m, model.Tier1h} {
		if given := r.Tier(tier); given < 0 {
			return &FieldError{Field: tier.String(), Problem: fmt.Sprintf("is %s; it must not be negative", given)}
		}
	}
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		finer := tier - 1
		kept, keptFiner := resolved.Tier(tier), resolved.Tier(finer)
		switch {
		case kept >= keptFiner:
		case r.Tier(tier) != 0:
			return &FieldError{Field: tier.String(), Problem: fmt.Sprintf("is %s; it must be at least as long as %s is kept, %s", spell(kept), finer, spell(keptFiner))}
		default:
			return &FieldError{Field: finer.String(), Problem: fmt.Sprintf("is %s; it must not be longer than %s is kept by default, %s: set that too",
				spell(keptFiner), tier, spell(kept))}
		}
	}
	return nil
}

func patternProblem(pattern string, maxBytes int) string {
	switch {
	case pattern == "":
		return "is empty; * selects every name"
	case len(pattern) > maxBytes:
		return fmt.Sprintf("has %d bytes; at most %d are allowed", len(pattern), maxBytes)
	case !utf8.ValidString(pattern):
		return "is not valid UTF-8"
	}
	return ""
}

// spell writes a retention in days where it is some whole days.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == Forever:
		return "for ever"
	case d != 0 && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	default:
		return d.String()
	}
}

// Tier returns the retention of one tier.
func (r Retention) Tier(tier model.Tier) time.Duration {
	switch tier {
	case model.Tier5m:
		return r.FiveMinutes
	case model.Tier1h:
		return r.Hour
	default:
		return r.Raw
	}
}

// Classes returns the number of classes. The series of a class have one retention: class 0 has the
// default, class i that of rule i-1.
func (p Policy) Classes() int { return len(p.Rules) + 1 }

// ClassOf returns the class of the series of a metric from a source.
func (p Policy) ClassOf(name, source string) int {
	for i := range p.Rules {
		if selects(p.Rules[i].Match, p.Rules[i].Source, name, source) {
			return i + 1
		}
	}
	return 0
}

// Of returns the retention of a class, every tier of it decided: none is 0.
func (p Policy) Of(class int) Retention {
	kept := p.Default
	if class > 0 {
		kept = p.Rules[class-1].Retention
		if kept.Raw == 0 {
			kept = Retention{
				Raw:         p.Default.Raw,
				FiveMinutes: firstSet(kept.FiveMinutes, p.Default.FiveMinutes),
				Hour:        firstSet(kept.Hour, p.Default.Hour),
			}
		}
	}
	kept.Raw = firstSet(kept.Raw, Forever)
	kept.FiveMinutes = firstSet(kept.FiveMinutes, kept.Raw)
	kept.Hour = firstSet(kept.Hour, kept.FiveMinutes)
	return kept
}

func firstSet(d, otherwise time.Duration) time.Duration {
	if d != 0 {
		return d
	}
	return otherwise
}

// Shortest returns how long the tier keeps the class that it keeps shortest; Forever: it drops nothing.
func (p Policy) Shortest(tier model.Tier) time.Duration {
	shortest := p.Of(0).Tier(tier)
	for class := 1; class < p.Classes(); class++ {
		shortest = min(shortest, p.Of(class).Tier(tier))
	}
	return shortest
}

// Floor returns the time at which what a class keeps in a tier begins; what lies before it is hidden. It
// is in nanoseconds since the epoch, as now is, and not rounded to the tier's buckets. It is model.MinTime
// for what is kept for ever.
func (p Policy) Floor(class int, tier model.Tier, now int64) int64 {
	kept := int64(p.Of(class).Tier(tier))
	if now <= kept {
		return model.MinTime
	}
	return now - kept
}
