package index

import (
	"regexp/syntax"
	"slices"
)

// maxLiterals is how many values a regular expression may stand for before reading all values of the key
// is taken to be the cheaper way.
const maxLiterals = 100

// literals returns the strings that a regular expression matches as a whole, without repetition, if they
// are few and easily told, as those of "a|b|c" or "node[1-3]" are.
func literals(expression string) ([]string, bool) {
	tree, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, false
	}
	found, ok := expand(tree)
	if !ok {
		return nil, false
	}
	slices.Sort(found)
	return slices.Compact(found), true
}

// expand returns the strings that the tree matches. The parser factors common beginnings out of
// alternatives, hence the product and the character classes.
func expand(tree *syntax.Regexp) ([]string, bool) {
	if tree.Flags&syntax.FoldCase != 0 {
		return nil, false
	}
	switch tree.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(tree.Rune)}, true
	case syntax.OpCharClass:
		return expandClass(tree.Rune)
	case syntax.OpCapture:
		return expand(tree.Sub[0])
	case syntax.OpQuest:
		some, ok := expand(tree.Sub[0])
		return append(some, ""), ok
	case syntax.OpAlternate:
		var all []string
		for _, sub := range tree.Sub {
			some, ok := expand(sub)
			if all = append(all, some...); !ok || len(all) > maxLiterals {
				return nil, false
			}
		}
		return all, true
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range tree.Sub {
			some, ok := expand(sub)
			if !ok || len(all)*len(some) > maxLiterals {
				return nil, false
			}
			all = product(all, some)
		}
		return all, true
	default:
		return nil, false
	}
}

// expandClass returns the characters of a class, given as pairs of first and last.
func expandClass(ranges []rune) ([]string, bool) {
	var all []string
	for i := 0; i < len(ranges); i += 2 {
		if int(ranges[i+1]-ranges[i])+len(all) >= maxLiterals {
			return nil, false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			all = append(all, string(r))
		}
	}
	return all, true
}

func product(heads, tails []string) []string {
	all := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			all = append(all, head+tail)
		}
	}
	return all
}
