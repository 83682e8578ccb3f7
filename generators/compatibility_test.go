package generators

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

const compatibility = "../docs/compatibility.md"

// What docs/compatibility.md says is what the data says. UPDATE_GOLDEN=1 rewrites it.
func TestCompatibilityDocument(t *testing.T) {
	want := compatibilityDocument(t)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(compatibility, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(compatibility)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("(-document +data):\n%s", diff)
	}
}

func compatibilityDocument(t *testing.T) string {
	t.Helper()
	releases := make([]*eso.Release, 0, len(eso.Versions()))
	for _, version := range eso.Versions() {
		release, err := eso.Lookup(version)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	return fmt.Sprintf(compatibilityText, releases[0].Chart, releases[len(releases)-1].Chart,
		table(releases, releaseRow), table(releases, keptRow), methodTable(), advisoryTable(releases))
}

const compatibilityText = `# Compatibility

Written by a test from the data in ` + "`generators/eso`" + `; do not edit. Chart and app versions of External Secrets
Operator (ESO) are the same number, and either may be stated, with or without v. All from %s to %s are known. None of them
was run yet. Each release's roles are checked as data against what its controllers' code needs; every chart was rendered
with our values by Helm's engine when its data was made, and ` + "`make chart-test`" + ` does so each time for those in ESO's Go
modules.

## Modes and trims

| releases | SecretStore | replace | helmValues | none |
|---|---|---|---|---|
%s
` + "`replace`" + ` trims tokens, secretWrites and configMaps. The other two leave ESO's writes cluster-wide: they trim tokens
alone, ` + "`helmValues`" + ` by a value of the chart where it has one, else by a post renderer for a HelmRelease, and with
` + "`none`" + ` whoever makes the role has to have left ` + "`serviceaccounts/token`" + ` out of it.

## What stays though its feature is off

Reads of ESO's own kinds that its controllers make through a cache whatever the feature: without them one ExternalSecret
that names such a kind stops ESO for everybody. With all trims and no feature:

| releases | read cluster-wide |
|---|---|
%s
## Providers

| way of exchanging the token | provider | since | what ESO asks for by itself |
|---|---|---|---|
%s
Fields that came later are refused with a release that does not have them (` + "`release-too-old`" + `).

## Advisories

A release with one is a warning (` + "`eso-advisory`" + `).

| advisory | releases | fixed in | what it is | what stops it already |
|---|---|---|---|---|
%s`

// table has a row for each run of releases that say the same.
func table(releases []*eso.Release, row func(*eso.Release) string) string {
	var b strings.Builder
	for len(releases) > 0 {
		text := row(releases[0])
		n := slices.IndexFunc(releases, func(r *eso.Release) bool { return row(r) != text })
		if n < 0 {
			n = len(releases)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", span(releases[:n]), text)
		releases = releases[n:]
	}
	return b.String()
}

func span(releases []*eso.Release) string {
	first, last := releases[0].Chart, releases[len(releases)-1].Chart
	if first == last {
		return first
	}
	return first + " – " + last
}

func releaseRow(r *eso.Release) string {
	options := eso.Options{Trims: []eso.Trim{eso.TrimTokens}}
	how := "tokens, by the value `rbac.serviceAccountTokenCreate`"
	if r.PostRenderers("external-secrets", options) != nil {
		how = "tokens, by a post renderer"
	}
	return fmt.Sprintf("%s | tokens, secretWrites, configMaps | %s | tokens, elsewhere", strings.TrimPrefix(r.StoreAPIVersion(), "external-secrets.io/"), how)
}

// keptRow lists what a release with everything off may still list.
func keptRow(r *eso.Release) string {
	var kept []string
	generators := 0
	for _, rule := range r.Trim(eso.Options{Trims: eso.Trims()}).ClusterRole {
		if !slices.Contains(rule.Verbs, "list") {
			continue
		}
		for _, resource := range rule.Resources {
			switch {
			case rule.APIGroups[0] == "generators.external-secrets.io" && resource != "generatorstates":
				generators++
			default:
				kept = append(kept, resource)
			}
		}
	}
	slices.Sort(kept)
	text := strings.Join(slices.Compact(kept), ", ")
	if generators > 0 {
		text += fmt.Sprintf(", and %d kinds of generator", generators)
	}
	return text
}

func methodTable() string {
	var b strings.Builder
	for _, m := range eso.Methods() {
		since := m.Since
		if since == "" {
			since = "all"
		}
		adds := "nothing; the Platform states audiences"
		if all := append(slices.Clone(m.Asks), m.Adds...); len(all) > 0 {
			adds = "`" + strings.Join(all, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.ID, m.Provider, since, adds)
	}
	return b.String()
}

func advisoryTable(releases []*eso.Release) string {
	affected := map[string][]*eso.Release{}
	var all []eso.Advisory
	for _, r := range releases {
		for _, a := range r.Advisories() {
			if affected[a.ID] == nil {
				all = append(all, a)
			}
			affected[a.ID] = append(affected[a.ID], r)
		}
	}
	slices.SortFunc(all, func(a, b eso.Advisory) int { return strings.Compare(a.ID, b.ID) })
	var b strings.Builder
	for _, a := range all {
		what := a.Title
		if a.Feature != "" {
			what += " (with " + string(a.Feature) + ")"
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s | %s |\n", a.ID, a.CVE, span(affected[a.ID]), a.Fixed, what, a.StoppedBy)
	}
	return b.String()
}
