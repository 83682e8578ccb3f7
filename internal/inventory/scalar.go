package inventory

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kubectl and kustomize read YAML with different parsers, of YAML 1.1 and of
// 1.2. What a value is may not depend on it: to kubectl, "no" is false.

// Why a scalar is not read.
const (
	aBoolean = "this is a boolean to kubectl and a text to other parsers"
	aNumber  = "this is not the same number to every YAML parser"
	aTag     = "this has a tag"
)

// scalarValue makes a value of a scalar, whose tag yaml.v3 has found, or says
// why not.
func scalarValue(tag, text string, plain bool) (value any, why string) {
	switch tag {
	case "!!str":
		if plain && isYAML11Bool(text) {
			return nil, aBoolean
		}
		return text, ""
	case "!!null":
		return nil, ""
	case "!!bool":
		switch lower := strings.ToLower(text); lower {
		case "true", "false":
			return lower == "true", ""
		}
		return nil, aBoolean
	case "!!int":
		return intValue(text)
	case "!!float":
		number, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
			return nil, aNumber
		}
		return number, ""
	case "!!timestamp":
		return text, "" // to kubectl and kustomize alike
	default:
		return nil, aTag
	}
}

// intValue reads an integer. An octal number that begins with 0 is one to
// kubectl and kustomize alike, and usual for the mode of files.
func intValue(text string) (value any, why string) {
	digits := strings.ReplaceAll(text, "_", "")
	if number, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return float64(number), ""
	}
	if number, err := strconv.ParseUint(digits, 0, 64); err == nil {
		return float64(number), ""
	}
	return nil, aNumber
}

func isYAML11Bool(text string) bool {
	if len(text) > len("yes") {
		return false
	}
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

// plainValue makes a value of a scalar without quotes, as far as it is one that
// programs write.
func (t *texts) plainValue(raw []byte) (value any, ok bool) {
	c := raw[0]
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	if letter && len(raw) > len("false") {
		return t.value(raw), true // longer than every word of YAML
	}
	switch string(raw) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	}
	text := string(raw)
	value, why := scalarValue((&yaml.Node{Kind: yaml.ScalarNode, Value: text}).ShortTag(), text, true)
	if _, ok := value.(string); ok {
		return t.value(raw), why == ""
	}
	return value, why == ""
}
