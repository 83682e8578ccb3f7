package schema

// Nearest returns the word that s is most likely a misspelling of, or "".
func Nearest(s string, words []string) string {
	best, distance := "", 1+max(1, (len(s)+1)/3)
	for _, word := range words {
		if d := editDistance(s, word, distance); d < distance {
			best, distance = word, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements between a and
// b, up to limit, where it stops counting.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
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
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
