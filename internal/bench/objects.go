package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// counts is the number of objects of each kind.
type counts map[string]int

func (c counts) total() int {
	var sum int
	for _, n := range c {
		sum += n
	}
	return sum
}

func (c counts) String() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, c[kind]))
	}
	return strings.Join(parts, ", ")
}

var (
	// topLevelKind finds an object's own kind and not that of a roleRef, which is indented further:
	// YAML, or JSON as go-jsonnet indents it.
	topLevelKind = regexp.MustCompile(`^(?:kind|   "kind"): "?([A-Za-z]+)"?,?\s*$`)
	tenantsOwn   = regexp.MustCompile(`\bt\d{4,5}-prod\b`)
)

// countObjects counts the objects in a stream of YAML documents that belong to tenants, which are those that name a
// tenant's namespace. What a tool makes for the platform besides is no part of the comparison.
func countObjects(stream io.Reader) (counts, error) {
	found := counts{}
	var kind string
	var own bool
	flush := func() {
		if kind != "" && own {
			found[kind]++
		}
		kind, own = "", false
	}
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("---")) {
			flush()
			continue
		}
		if match := topLevelKind.FindSubmatch(line); match != nil && kind == "" {
			kind = string(match[1])
		}
		own = own || bytes.Contains(line, []byte("-prod")) && tenantsOwn.Match(line)
	}
	flush()
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading a tool's output: %w", err)
	}
	return found, nil
}
