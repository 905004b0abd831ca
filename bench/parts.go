package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Part is one kind of question that a run can ask.
type Part interface {
	// Names are what --parts selects it by. Most parts have one.
	Names() []string

	// Run measures once, and adds what it found to run.Report. With --repeat it is called again, and the report
	// keeps the medians. A wrong or missing answer is no error but a problem in the report; an error is
	// what makes going on senseless.
	Run(ctx context.Context, run *Run) error
}

// allParts are the parts in the order in which they run.
func allParts() []Part {
	return []Part{comparison{}, crash{}, scale{}, span{}}
}

// PartNames are the names that --parts may have.
func PartNames() []string {
	var names []string
	for _, part := range allParts() {
		names = append(names, part.Names()...)
	}
	return names
}

// selectedParts are the parts that have at least one of these names.
func selectedParts(names []string) []Part {
	var parts []Part
	for _, part := range allParts() {
		if slices.ContainsFunc(part.Names(), func(name string) bool { return slices.Contains(names, name) }) {
			parts = append(parts, part)
		}
	}
	return parts
}

// checkNames complains of the first of the given names that is none of the valid ones.
func checkNames(flag string, given, valid []string) error {
	for _, name := range given {
		if !slices.Contains(valid, name) {
			return fmt.Errorf("--%s has %q; valid are %s", flag, name, strings.Join(valid, ", "))
		}
	}
	return nil
}
