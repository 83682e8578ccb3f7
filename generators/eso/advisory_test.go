package eso

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

func TestAdvisoriesAreFounded(t *testing.T) {
	id, cve := regexp.MustCompile(`^GHSA(-[23456789cfghjmpqrvwx]{4}){3}$`), regexp.MustCompile(`^CVE-20[0-9]{2}-[0-9]{4,}$`)
	further := regexp.MustCompile(`^commit [0-9a-f]{40}, first in helm-chart-([0-9.]+)$|^[a-zA-Z0-9_/.-]+:[0-9]+@v[0-9.]+$`)
	seen := map[string]bool{}
	for i, a := range decodeAdvisories() {
		advisory := "https://github.com/external-secrets/external-secrets/security/advisories/" + a.ID
		for what, ok := range map[string]bool{
			"id":        id.MatchString(a.ID) && !seen[a.ID],
			"cve":       cve.MatchString(a.CVE) && !seen[a.CVE],
			"title":     a.Title != "" && !strings.HasSuffix(a.Title, "."),
			"since":     a.Since == "" || slices.Contains(Versions(), a.Since),
			"fixed":     fixedIsKnown(a.Fixed),
			"range":     a.Since == "" || compare(a.Since, a.Fixed) < 0,
			"feature":   a.Feature == "" || slices.Contains(Features(), a.Feature),
			"stoppedBy": a.StoppedBy != "",
			"evidence":  len(a.Evidence) > 1 && a.Evidence[0] == advisory && all(a.Evidence[1:], further.MatchString),
			"order":     i == 0 || compare(decodeAdvisories()[i-1].Fixed, a.Fixed) <= 0,
			// The last commit of the fix is in the release that is said to have it, and in none before.
			"fix": !all(a.Evidence, func(e string) bool { return !strings.HasSuffix(e, "first in helm-chart-"+a.Fixed) }),
		} {
			if !ok {
				t.Errorf("%s: wrong %s", a.ID, what)
			}
		}
		seen[a.ID], seen[a.CVE] = true, true
	}
	if len(seen) != 2*7 {
		t.Errorf("%d identifiers, want those of 7 advisories", len(seen))
	}
}

func all(list []string, holds func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !holds(s) })
}

// fixedIsKnown reports whether a release is on record, or newer than all that are.
func fixedIsKnown(chart string) bool {
	versions := Versions()
	return slices.Contains(versions, chart) || semver.IsValid("v"+chart) && compare(chart, versions[len(versions)-1]) > 0
}

func TestAdvisories(t *testing.T) {
	for version, want := range map[string][]string{
		"0.9.20": {"CVE-2024-45041", "CVE-2026-34984", "CVE-2026-42875", "CVE-2026-42876"},
		"0.10.1": {"CVE-2024-45041", "CVE-2026-26287", "CVE-2026-34984", "CVE-2026-42875", "CVE-2026-42876"},
		"0.19.1": {"CVE-2025-55196", "CVE-2026-26287", "CVE-2026-34984", "CVE-2026-42875", "CVE-2026-42876"},
		"0.20.4": {"CVE-2026-22822", "CVE-2026-26287", "CVE-2026-34984", "CVE-2026-42875", "CVE-2026-42876"},
		"2.4.0":  {"CVE-2026-42876"},
		"2.4.1":  nil,
		"2.9.0":  nil,
	} {
		var got []string
		for _, a := range mustLookup(t, version).Advisories() {
			got = append(got, a.CVE)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
}
