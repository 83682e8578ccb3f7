package fn

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// acceptance is what somebody knows and takes: an entry of an allow file.
type acceptance struct {
	rule, contains, reason string
	until                  time.Time
	at                     problem.Position
	used                   bool
}

// maxAllowBytes bounds an allow file.
const maxAllowBytes = 1 << 20

// Accept turns the problems that an allow file lists into warnings:
//
//   - rule: write-secrets
//     contains: external-secrets-webhook   # of the message; optional
//     reason: the chart's webhook writes its own certificate
//     until: 2027-03-31
//
// An entry needs a reason and an end. What is wrong with an entry, one that is
// over, and one that nothing matches are problems themselves, and accept
// nothing.
func Accept(file string, problems problem.List, now time.Time) problem.List {
	entries, wrong := readAcceptances(file, now)
	accepted := slices.Clone(problems)
	for i := range accepted {
		p := &accepted[i]
		if e := matching(entries, *p); e != nil && p.IsError() {
			p.Severity = problem.Warning
			p.Because = append(slices.Clone(p.Because), "accepted until "+e.until.Format(time.DateOnly)+": "+e.reason)
		}
	}
	for _, e := range entries {
		if !e.used {
			wrong = append(wrong, problem.Problem{
				Rule: problem.AllowUnused, Position: e.at, Message: "nothing that is found matches this", Hint: "remove it: what it was for may be gone",
			})
		}
	}
	return append(accepted, wrong...).Sorted()
}

func matching(entries []*acceptance, p problem.Problem) *acceptance {
	for _, e := range entries {
		if e.rule == string(p.Rule) && strings.Contains(p.Message, e.contains) {
			e.used = true
			return e
		}
	}
	return nil
}

func readAcceptances(file string, now time.Time) ([]*acceptance, problem.List) {
	refuse := func(rule problem.Rule, line, column int, message, hint string) problem.List {
		return problem.List{{Rule: rule, Position: problem.Position{File: file, Line: line, Column: column}, Message: message, Hint: hint}}
	}
	data, err := readBounded(file, maxAllowBytes)
	if err != nil {
		return nil, refuse(problem.SourceUnreadable, 0, 0, "this cannot be read: "+err.Error(), "")
	}
	node, err := yaml.Parse(string(data))
	if err != nil {
		return nil, refuse(problem.YAMLSyntax, 1, 1, "this is not YAML: "+err.Error(), "")
	}
	root := node.YNode()
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		root = root.Content[0]
	}
	if root.Kind != yaml.SequenceNode {
		return nil, refuse(problem.AllowInvalid, max(root.Line, 1), max(root.Column, 1), "this is no list of what is accepted", "each item has rule, reason and until")
	}
	var entries []*acceptance
	var wrong problem.List
	for _, item := range root.Content {
		e, complaint, rule := readAcceptance(item, now)
		if complaint != "" {
			wrong = append(wrong, refuse(rule, item.Line, item.Column, complaint, "an item has rule, reason and until, as 2027-03-31, and may have contains")...)
			continue
		}
		e.at = problem.Position{File: file, Line: item.Line, Column: item.Column}
		entries = append(entries, e)
	}
	return entries, wrong
}

// readAcceptance reads one item, or says what is wrong with it.
func readAcceptance(item *yaml.Node, now time.Time) (e *acceptance, complaint string, rule problem.Rule) {
	fields := map[string]string{}
	if item.Kind != yaml.MappingNode {
		return nil, "this is no map", problem.AllowInvalid
	}
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		if !slices.Contains([]string{"rule", "contains", "reason", "until"}, key.Value) || value.Kind != yaml.ScalarNode {
			return nil, "there is no field " + problem.Quote(key.Value) + " with such a value", problem.AllowInvalid
		}
		fields[key.Value] = value.Value
	}
	if _, known := problem.Rules()[problem.Rule(fields["rule"])]; !known {
		return nil, problem.Quote(fields["rule"]) + " is no rule", problem.AllowInvalid
	}
	if strings.TrimSpace(fields["reason"]) == "" {
		return nil, "there is no reason", problem.AllowInvalid
	}
	until, err := time.Parse(time.DateOnly, fields["until"])
	switch {
	case err != nil:
		return nil, "until is " + problem.Quote(fields["until"]) + ", and no date", problem.AllowInvalid
	case now.After(until.AddDate(0, 0, 1)):
		return nil, fmt.Sprintf("this was accepted until %s, which is over", fields["until"]), problem.AllowExpired
	default:
		return &acceptance{rule: fields["rule"], contains: fields["contains"], reason: fields["reason"], until: until}, "", ""
	}
}

func readBounded(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > limit:
		return nil, fmt.Errorf("it is no regular file of up to %d KiB", limit>>10)
	default:
		return os.ReadFile(file)
	}
}
