package compaction

import "unicode/utf8"

// selects reports whether a rule's patterns select the series of a metric from a source.
func selects(match, sourceMatch, name, source string) bool {
	return matchGlob(match, name) && (sourceMatch == "" || matchGlob(sourceMatch, source))
}

// matchGlob reports whether the whole text fits the pattern, in which * stands for any text and ? for any
// one character. It takes at most len(pattern) * len(text) steps: of all stars only the last one met is
// tried anew with a longer text, since what came before it fits already.
func matchGlob(pattern, text string) bool {
	p, t := 0, 0
	star, behindStar := -1, 0 // where the last star is, and where in text the pattern behind it is tried
	for t < len(text) {
		if p < len(pattern) {
			switch pattern[p] {
			case '*':
				star, behindStar = p, t
				p++
				continue
			case '?':
				_, width := utf8.DecodeRuneInString(text[t:])
				p++
				t += width
				continue
			case text[t]:
				p++
				t++
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, width := utf8.DecodeRuneInString(text[behindStar:])
		behindStar += width
		p, t = star+1, behindStar
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
