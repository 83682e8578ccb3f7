package adopt

import (
	"strconv"
	"strings"
)

const (
	// admissionMinor is the minor version of Kubernetes that admission policies
	// need (schema/admission.go).
	admissionMinor = 30
	// usualSeconds is how long tokens may live where a Platform says nothing.
	usualSeconds = 3600
)

// admission tells whether the cluster takes the policies that a Platform has by
// default. One of which it is not known is taken to.
func (m *maker) admission() bool {
	minor, err := strconv.Atoi(strings.TrimPrefix(m.in.Kubernetes, "1."))
	return err != nil || minor >= admissionMinor
}

// admissionFields are what is not the default.
func (m *maker) admissionFields() fields {
	var f fields
	if !m.admission() {
		return fields{{key: "engine", value: "none"}}
	}
	longest := 0.0
	for _, e := range m.entries {
		longest = max(longest, longestLife(e.content))
	}
	if longest > usualSeconds {
		f.add("maxTokenSeconds", longest)
	}
	return f
}

// longestLife is the longest life of a token that a provider asks for, in
// seconds; 0 where it asks for none.
func longestLife(value any) float64 {
	longest := 0.0
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if seconds, ok := inner.(float64); ok && key == "expirationSeconds" {
				longest = max(longest, seconds)
			}
			longest = max(longest, longestLife(inner))
		}
	case []any:
		for _, inner := range value {
			longest = max(longest, longestLife(inner))
		}
	}
	return longest
}
