package config

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/flopynet/collector/engine"
)

// Age is how long something is kept; 0: not set. Its text is a whole number of hours, days or weeks, such
// as 12h, 30d or 8w, or forever.
type Age time.Duration

// Forever is the age that nothing reaches.
const Forever = Age(engine.KeepForever)

// String is the age as UnmarshalText reads it: in days where it is whole ones.
func (a Age) String() string {
	switch d := time.Duration(a); {
	case a == Forever:
		return "forever"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	default:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
}

// UnmarshalText reads an age.
func (a *Age) UnmarshalText(text []byte) error {
	if string(text) == "forever" {
		*a = Forever
		return nil
	}
	number, unit := "", time.Duration(0)
	if n := len(text) - 1; n > 0 {
		number, unit = string(text[:n]), ageUnits[text[n]]
	}
	count, err := strconv.ParseUint(number, 10, 32)
	if unit == 0 || count == 0 || err != nil {
		return fmt.Errorf("%q is no age; valid are a whole number of hours, days or weeks such as 12h, 30d or 8w, and forever", text)
	}
	if count > uint64(maxRetentionDays*24*time.Hour/unit) {
		return fmt.Errorf("%q is too long; valid are at most %d days, and forever", text, maxRetentionDays)
	}
	*a = Age(time.Duration(count) * unit)
	return nil
}

var ageUnits = map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// RetentionRule gives the metrics that it selects a retention of their own. engine.RetentionPolicy says
// what holds for tiers that aren't set.
type RetentionRule struct {
	Match       string `yaml:"match"`  // the metric's whole name; * stands for any text, ? for any one character
	Source      string `yaml:"source"` // likewise; empty: any
	Raw         Age    `yaml:"raw"`
	FiveMinutes Age    `yaml:"5m"`
	Hour        Age    `yaml:"1h"`
}

// Retention returns Storage.RetentionDays as a duration.
func (c Config) Retention() time.Duration {
	return time.Duration(c.Storage.RetentionDays) * 24 * time.Hour
}

// RetentionPolicy returns what Storage says about retention as the engine has it. The settings must be
// valid.
func (c Config) RetentionPolicy() engine.RetentionPolicy {
	policy := engine.RetentionPolicy{Default: engine.Retention{
		Raw:         c.Retention(),
		FiveMinutes: time.Duration(c.Storage.Retention5m),
		Hour:        time.Duration(c.Storage.Retention1h),
	}}
	for _, rule := range c.Storage.RetentionRules {
		policy.Rules = append(policy.Rules, engine.RetentionRule{
			Match:  rule.Match,
			Source: rule.Source,
			Retention: engine.Retention{
				Raw:         time.Duration(rule.Raw),
				FiveMinutes: time.Duration(rule.FiveMinutes),
				Hour:        time.Duration(rule.Hour),
			},
		})
	}
	return policy
}

// validateRetention reports what the engine finds wrong with the policy, under the names of this package.
func (c Config) validateRetention() error {
	if err := within("storage.retention_days", c.Storage.RetentionDays, 0, maxRetentionDays); err != nil {
		return err
	}
	var problems []error
	for _, fault := range c.RetentionPolicy().Faults() {
		key := fmt.Sprintf("storage.retention_rules[%d].%s", fault.Rule, fault.Field)
		if fault.Rule < 0 { // not raw's: retention_days is in its range, and the coarser tier has the fault
			key = "storage.retention_" + fault.Field
		}
		problems = append(problems, problem(key, "%s", fault.Problem))
	}
	return errors.Join(problems...)
}
