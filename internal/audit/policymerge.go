package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Merge adds to a policy what it lacks: each of our rules stands before the
// first one that would have decided otherwise, and only if there is such a one.
// What the policy logs already stays as it is. The notes say what the policy's
// own rules would have done. It keeps comments.
func (p *Policy) Merge() (merged []byte, notes []string, problems problem.List, err error) {
	if p.omits {
		return nil, nil, problem.List{p.omitted()}, nil
	}
	places, notes := p.places()
	for _, one := range slices.Backward(places) {
		added := &yaml.Node{}
		if err := yaml.Unmarshal([]byte(policyHead+one.text), added); err != nil {
			return nil, nil, nil, fmt.Errorf("reading a rule of our own: %w", err)
		}
		root := added.Content[0]
		rule := root.Content[len(root.Content)-1].Content[0]
		p.sequence.Style = 0 // a list in brackets cannot hold comments
		p.sequence.Content = slices.Insert(p.sequence.Content, one.before, rule)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(p.document), encoder.Close()); err != nil {
		return nil, nil, nil, fmt.Errorf("writing the policy: %w", err)
	}
	again, problems := ParsePolicy(p.file, bytes.NewReader(out.Bytes()))
	if len(problems) == 0 {
		problems = again.Check()
	}
	if len(problems) > 0 {
		return nil, nil, problems, nil
	}
	return out.Bytes(), notes, nil, nil
}

// placed is a rule of ours, and before which of the policy's it goes.
type placed struct {
	text   string
	before int
}

// places says where our rules go, in their order, and what would have been.
func (p *Policy) places() ([]placed, []string) {
	var all []placed
	var notes []string
	for _, f := range p.faults() {
		i := slices.IndexFunc(all, func(o placed) bool { return o.text == f.text })
		if i < 0 {
			all = append(all, placed{f.text, f.rule})
			notes = append(notes, p.note(&f))
			continue
		}
		all[i].before = min(all[i].before, f.rule)
	}
	slices.SortStableFunc(all, func(a, b placed) int { return a.before - b.before })
	return all, notes
}

func (p *Policy) note(f *fault) string {
	switch {
	case f.rule == len(p.rules):
		return "no rule of yours decides on all requests to " + f.String() + ": one was added"
	case f.tooHigh():
		return fmt.Sprintf("your rule %d (line %d) would have written what is secret into the log, by logging %s at level %s: a rule was added before it", f.rule+1, p.rules[f.rule].at.Line, f, f.level)
	default:
		return fmt.Sprintf("your rule %d (line %d) would have swallowed %s at level %s: a rule was added before it", f.rule+1, p.rules[f.rule].at.Line, f, f.level)
	}
}
