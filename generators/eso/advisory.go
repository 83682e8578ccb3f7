package eso

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed advisories.json
var advisoriesJSON string

// StoppedByNothing is the StoppedBy of an advisory that only a newer release mends.
const StoppedByNothing = "nothing"

// Advisory is a published weakness of ESO itself, not of a library that it links.
type Advisory struct {
	ID    string `json:"id"` // GitHub's
	CVE   string `json:"cve"`
	Title string `json:"title"` // in our words
	Since string `json:"since"` // the first chart release that has it; "" for all on record
	Fixed string `json:"fixed"` // the first chart release that has it no more
	// Feature is what the weak code runs for: without it the release is not affected. "" for code that always runs.
	Feature Feature `json:"feature"`
	Trim    Trim    `json:"trim"` // the one that StoppedBy speaks of, if it is one
	// StoppedBy is what of the fence stops it already, or StoppedByNothing. Chart values and trims count only as
	// far as they are in force: none of them is with rbac: none.
	StoppedBy string   `json:"stoppedBy"`
	Evidence  []string `json:"evidence"` // the advisory, and commits or path:line@tag in ESO's repository
}

// Advisories returns the advisories that this release is affected by, those with the oldest fix first.
func (r *Release) Advisories() []Advisory {
	return slices.DeleteFunc(decodeAdvisories(), func(a Advisory) bool { return !a.affects(r.Chart) })
}

func (a *Advisory) affects(chart string) bool {
	return (a.Since == "" || compare(chart, a.Since) >= 0) && compare(chart, a.Fixed) < 0
}

// decodeAdvisories panics on bad data, which is compiled in and which no input can change.
func decodeAdvisories() []Advisory {
	var all []Advisory
	if err := json.Unmarshal([]byte(advisoriesJSON), &all); err != nil {
		panic(fmt.Errorf("decoding the advisories about ESO: %w", err))
	}
	return all
}
