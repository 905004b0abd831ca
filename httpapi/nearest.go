package httpapi

import "strings"

// nearestName returns the known name that is nearest to a mistyped one, upper and lower case being the
// same, or "" when none is near: more than a third of it, and more than two letters or half of it, would
// have to change.
func nearestName(name string, known []string) string {
	best, nearest := min(max(2, len(name)/3), len(name)/2)+1, ""
	if len(name) > 64 {
		return ""
	}
	name = strings.ToLower(name)
	for _, candidate := range known {
		if distance := editDistance(name, strings.ToLower(candidate)); distance < best && distance < len(candidate) {
			best, nearest = distance, candidate
		}
	}
	return nearest
}

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours between two short
// texts (optimal string alignment).
func editDistance(a, b string) int {
	previous2 := make([]int, len(b)+1)
	previous := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(previous[j+1]+1, row[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], previous2[j-1]+1)
			}
		}
		previous2, previous, row = previous, row, previous2
	}
	return previous[len(b)]
}
