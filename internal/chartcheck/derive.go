package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	rbacv1 "k8s.io/api/rbac/v1"
)

const (
	repository         = "external-secrets/external-secrets"
	chartFolder        = "deploy/charts/external-secrets/"
	certControllerRBAC = "templates/cert-controller-rbac.yaml"
	aggregation        = "rbac.authorization.k8s.io/aggregate-to-"
)

// switches are the chart values of features; a release has those that its values.yaml has.
var switches = map[eso.Feature]string{
	eso.FeatureClusterSecretStores:    "processClusterStore",
	eso.FeatureClusterExternalSecrets: "processClusterExternalSecret",
	eso.FeaturePushSecrets:            "processPushSecret",
	eso.FeatureClusterPushSecrets:     "processClusterPushSecret",
	eso.FeatureGenericTargets:         "genericTargets.enabled",
}

// deriveRelease returns the release file of a chart: what it renders with its own values, and what changes with each
// value that bears on it.
func deriveRelease(folder, tag, commit string) ([]byte, error) {
	c, err := loadChart(folder)
	if err != nil {
		return nil, err
	}
	r := &eso.Release{Chart: c.Metadata.Version, App: c.Metadata.AppVersion, Switches: map[eso.Feature]eso.Switch{}, Toggles: map[string]eso.Toggle{}}
	if r.Provenance, err = provenance(folder, tag, commit); err != nil {
		return nil, err
	}
	if err := deriveRoles(c, r); err != nil {
		return nil, err
	}
	r.Values = knownValues(c)
	if err := deriveSwitches(c, r); err != nil {
		return nil, err
	}
	if err := deriveToggles(c, r); err != nil {
		return nil, err
	}
	return encode(r), nil
}

func provenance(folder, tag, commit string) (eso.Provenance, error) {
	p := eso.Provenance{Repository: repository, Tag: tag, Commit: commit}
	for file, to := range map[string]*eso.File{rbacTemplate: &p.Role, certControllerRBAC: &p.CertController} {
		text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(file)))
		if err != nil {
			return p, fmt.Errorf("reading a template: %w", err)
		}
		sum := sha256.Sum256(text)
		*to = eso.File{Path: chartFolder + file, SHA256: hex.EncodeToString(sum[:])}
	}
	return p, nil
}

func deriveRoles(c *chart.Chart, r *eso.Release) error {
	all, err := renderRoles(c, nil)
	if err != nil {
		return err
	}
	controller, err1 := find(all, "ClusterRole", "-controller")
	view, err2 := find(all, "ClusterRole", "-view")
	edit, err3 := find(all, "ClusterRole", "-edit")
	election, err4 := find(all, "Role", "-leaderelection")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	r.Controller, r.LeaderElection = controller.Rules, election.Rules
	r.View, r.Edit = people(view), people(edit)
	return nil
}

// people returns a role for people, of its labels only those that aggregate it.
func people(o *object) eso.Role {
	role := eso.Role{Labels: map[string]string{}, Rules: o.Rules}
	for label, value := range o.Metadata.Labels {
		if strings.HasPrefix(label, aggregation) {
			role.Labels[label] = value
		}
	}
	return role
}

func renderRoles(c *chart.Chart, values map[string]any) ([]object, error) {
	files, err := render(c, namespace, values, rbacTemplate)
	if err != nil {
		return nil, err
	}
	return objects(files)
}

var valueUse = regexp.MustCompile(`\.Values\.([A-Za-z0-9_.]+)`)

// knownValues returns, sorted, the values that the roles' template uses, and those that say which reconcilers run and
// who makes the webhook's certificate.
func knownValues(c *chart.Chart) []string {
	values := []string{"certController.create", "webhook.certManager.enabled"}
	for _, file := range c.Templates {
		if file.Name != rbacTemplate {
			continue
		}
		for _, use := range valueUse.FindAllSubmatch(file.Data, -1) {
			values = append(values, string(use[1]))
		}
	}
	for key := range c.Values {
		if strings.HasPrefix(key, "process") {
			values = append(values, key)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

var argument = regexp.MustCompile(`(?m)^\s*- (--[a-z0-9-]+)=`)

// deriveSwitches finds the flag of each feature's value: the one argument that comes in when the value is changed.
func deriveSwitches(c *chart.Chart, r *eso.Release) error {
	for feature, value := range switches {
		initial, known := boolean(c, value)
		if !known {
			continue
		}
		// The chart refuses ClusterPushSecrets without PushSecrets, so the former are off on either side.
		before, changed := map[string]any{}, map[string]any{}
		if feature == eso.FeaturePushSecrets && r.HasValue(switches[eso.FeatureClusterPushSecrets]) {
			set(before, switches[eso.FeatureClusterPushSecrets], false)
			set(changed, switches[eso.FeatureClusterPushSecrets], false)
		}
		set(changed, value, !initial)
		without, err := arguments(c, before)
		if err != nil {
			return err
		}
		with, err := arguments(c, changed)
		if err != nil {
			return err
		}
		flags := slices.DeleteFunc(with, func(flag string) bool { return slices.Contains(without, flag) })
		if len(flags) != 1 {
			return fmt.Errorf("value %s changes the flags %q, not one", value, flags)
		}
		r.Switches[feature] = eso.Switch{Value: value, Flag: flags[0]}
	}
	return nil
}

// arguments returns the flags that the chart sets on ESO's controller.
func arguments(c *chart.Chart, values map[string]any) ([]string, error) {
	files, err := render(c, namespace, values, deploymentTemplate)
	if err != nil {
		return nil, err
	}
	var flags []string
	for _, match := range argument.FindAllStringSubmatch(files[deploymentTemplate], -1) {
		flags = append(flags, match[1])
	}
	return flags, nil
}

// deriveToggles changes one value after the other and notes what the controller's role gains and loses.
func deriveToggles(c *chart.Chart, r *eso.Release) error {
	before := rightsOf(r.Controller)
	for _, value := range r.Values {
		initial, known := boolean(c, value)
		if !known || value == "rbac.create" || value == "scopedRBAC" { // these make another role or none
			continue
		}
		values := map[string]any{}
		set(values, value, !initial)
		all, err := renderRoles(c, values)
		if err != nil {
			return err
		}
		role, err := find(all, "ClusterRole", "-controller")
		if err != nil {
			return fmt.Errorf("setting %s: %w", value, err)
		}
		after := rightsOf(role.Rules)
		toggle := eso.Toggle{SetTo: !initial, Adds: difference(after, before), Removes: difference(before, after)}
		if len(toggle.Adds)+len(toggle.Removes) > 0 {
			r.Toggles[value] = toggle
		}
	}
	return nil
}

// boolean returns the chart's own setting of a value, if the chart has it and it is true or false.
func boolean(c *chart.Chart, dotted string) (value, known bool) {
	found, err := chartutil.Values(c.Values).PathValue(dotted)
	if err != nil {
		return false, false
	}
	value, known = found.(bool)
	return value, known
}

func set(values map[string]any, dotted string, value bool) {
	keys := strings.Split(dotted, ".")
	for _, key := range keys[:len(keys)-1] {
		inner := map[string]any{}
		values[key] = inner
		values = inner
	}
	values[keys[len(keys)-1]] = value
}

// rightsOf returns each right of the rules as a rule of its own.
func rightsOf(rules []rbacv1.PolicyRule) map[eso.Atom]bool {
	rights := map[eso.Atom]bool{}
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights[eso.Atom{Group: group, Resource: resource, Verb: verb}] = true
				}
			}
		}
	}
	return rights
}

// difference returns what is in a and not in b: sorted, a rule for each resource.
func difference(a, b map[eso.Atom]bool) []rbacv1.PolicyRule {
	var left []eso.Atom
	for atom := range a {
		if !b[atom] {
			left = append(left, atom)
		}
	}
	slices.SortFunc(left, func(x, y eso.Atom) int {
		return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Resource, y.Resource), cmp.Compare(x.Verb, y.Verb))
	})
	var rules []rbacv1.PolicyRule
	for i, atom := range left {
		if i > 0 && left[i-1].Group == atom.Group && left[i-1].Resource == atom.Resource {
			last := &rules[len(rules)-1]
			last.Verbs = append(last.Verbs, atom.Verb)
			continue
		}
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{atom.Group}, Resources: []string{atom.Resource}, Verbs: []string{atom.Verb}})
	}
	return rules
}
