package eso

import (
	"slices"
	"strings"
)

// ChartValues returns the Helm values for a chart whose roles we make ourselves: no roles of its own, the
// reconcilers of unused features off, no cert-controller. Only values that this release's chart knows.
//
// cert-manager then issues the webhook's certificate; which issuer it uses is the caller's to add.
func (r *Release) ChartValues(o Options) map[string]any {
	values := r.commonValues()
	r.set(values, "rbac.create", false)
	for feature, s := range r.Switches {
		r.set(values, s.Value, r.Runs(feature, o))
	}
	return values
}

// HelmValues returns the Helm values for a chart that keeps its own roles: what they can trim by values alone.
// A reconciler stays on where the chart, in turning it off, also takes rights away that ESO may never lose.
func (r *Release) HelmValues(o Options) map[string]any {
	values := r.commonValues()
	r.set(values, "rbac.aggregateToEdit", false)
	r.set(values, "rbac.aggregateToAdmin", false)
	if slices.Contains(o.Trims, TrimTokens) {
		r.set(values, "rbac.serviceAccountTokenCreate", false)
	}
	for feature, s := range r.Switches {
		r.set(values, s.Value, r.Runs(feature, o) || !r.safeOff(s))
	}
	return values
}

// safeOff reports whether a reconciler's chart value takes nothing away that ESO needs without the reconciler.
func (r *Release) safeOff(s Switch) bool {
	for _, a := range atoms(r.Toggles[s.Value].Removes) {
		if slices.ContainsFunc(r.never, func(f Fact) bool { return f.covers(a) }) {
			return false
		}
	}
	return true
}

// commonValues removes the cert-controller, a second reader of every Secret. Charts before 0.9.12 go on
// making it, or a part of it, for certManager.enabled alone; so it is also switched off by its own value.
func (r *Release) commonValues() map[string]any {
	values := map[string]any{}
	r.set(values, "webhook.certManager.enabled", true)
	r.set(values, "certController.create", false)
	return values
}

// set puts a value at a dotted path, if this release's chart knows it.
func (r *Release) set(values map[string]any, path string, value bool) {
	if r.HasValue(path) {
		put(values, path, value)
	}
}

func put(values map[string]any, path string, value bool) {
	keys := strings.Split(path, ".")
	last := len(keys) - 1
	for _, key := range keys[:last] {
		child, ok := values[key].(map[string]any)
		if !ok {
			child = map[string]any{}
			values[key] = child
		}
		values = child
	}
	values[keys[last]] = value
}
