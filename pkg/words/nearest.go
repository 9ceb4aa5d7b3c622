package words

import (
	"fmt"
	"strings"
)

// DidYouMean returns ` (did you mean "x"?)` for the shortest candidate that begins with word, or else the nearest in edit distance,
// or nothing where none is near. Upper and lower case are the same.
func DidYouMean(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", len(word)/2+1
	for _, c := range candidates {
		if len(word) >= 3 && strings.HasPrefix(strings.ToLower(c), word) && (bestDistance > 0 || len(c) < len(best)) {
			best, bestDistance = c, 0
			continue
		}
		if d := editDistance(word, strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is Levenshtein's distance between a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
