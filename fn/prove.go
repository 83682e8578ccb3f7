package fn

import (
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Prove proves the fence of each cluster of the rendering, over what is rendered
// for all its tenants, also where only some are selected. Problems are breaches,
// which are errors, and what keeps the proof from being one, which are warnings:
// a role of somebody else's is not among what is rendered. What is accepted is
// left to verify to state.
func (r *Rendering) Prove() (problem.List, error) { return r.proveBeside(nil, nil) }

// proveBeside is Prove over what is rendered and what is there besides.
func (r *Rendering) proveBeside(others []inventory.Object, unread problem.List) (problem.List, error) {
	var found problem.List
	for _, c := range r.clusters {
		whole := Rendering{clusters: []*schema.Cluster{c}}
		in, err := whole.Expectation()
		if err != nil {
			return nil, err
		}
		if in.Objects, err = whole.Objects(); err != nil {
			return nil, err
		}
		in.Objects, in.Unread = append(in.Objects, others...), unread
		found = append(found, breaches(verify.Check(in))...)
	}
	return found, nil
}

// proveItems proves what a kustomization holds that was expanded already, as far
// as it goes: what the fence is for is read off the objects themselves. Where
// nothing says who External Secrets Operator is, there is nothing to prove.
func proveItems(objects []inventory.Object, unread problem.List) (found problem.List, proven bool) {
	in := verify.Input{Objects: objects, Unread: unread}
	if in.ESO = verify.Operator(in); len(in.ESO) == 0 {
		return nil, false
	}
	return breaches(verify.Check(in)), true
}

// breaches are what a run that also does something else says of a proof.
func breaches(report *verify.Report) problem.List {
	var found problem.List
	for _, p := range report.Problems {
		switch {
		case !p.IsError():
			continue
		case !verify.IsBreach(p):
			p.Severity = problem.Warning
		}
		found = append(found, p)
	}
	return found
}

// itemObjects reads items of a ResourceList as the prover does any manifest. They
// have lost their files by now.
func itemObjects(items []*kyaml.RNode) ([]inventory.Object, problem.List) {
	set, unread := inventory.Read(func(yield func(inventory.Source) bool) {
		for _, item := range items {
			text, err := item.String()
			if err != nil {
				text = "unreadable" // which is no object, and reported as such
			}
			if !yield(inventory.Source{File: source(item).Subject, Reader: strings.NewReader(text)}) {
				return
			}
		}
	}, verify.Kinds)
	for i := range set.Objects {
		o := &set.Objects[i]
		o.At, o.RuleLines = problem.Position{Subject: o.Kind + "/" + o.FullName()}, nil
	}
	for i := range unread {
		unread[i].Position = problem.Position{Subject: unread[i].Position.File}
	}
	return set.Objects, unread
}
