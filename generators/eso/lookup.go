package eso

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

//go:embed releases/*.json
var releases embed.FS

// UnknownVersionError says that no release on record has the version.
type UnknownVersionError struct {
	Version string // as it was asked for
	Nearest string // the newest chart version on record below it, else the oldest; "" when Version is no version
}

func (e *UnknownVersionError) Error() string {
	if e.Nearest == "" {
		return fmt.Sprintf("ESO version %q is not a version", e.Version)
	}
	return fmt.Sprintf("ESO version %q is not on record; the nearest is %s", e.Version, e.Nearest)
}

// Versions returns the chart versions on record, ascending.
func Versions() []string {
	entries, err := releases.ReadDir("releases")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	versions := make([]string, len(entries))
	for i, e := range entries {
		versions[i] = strings.TrimSuffix(e.Name(), ".json")
	}
	slices.SortFunc(versions, compare)
	return versions
}

// Lookup returns the release with this chart or app version, with or without a leading v. The two are the
// same number in every release on record. The error for any other version is an *UnknownVersionError.
func Lookup(version string) (*Release, error) {
	chart := strings.TrimPrefix(version, "v")
	data, err := releases.ReadFile("releases/" + chart + ".json")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, &UnknownVersionError{Version: version, Nearest: nearest(chart)}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the roles of ESO %s: %w", chart, err)
	}
	r := new(Release)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("decoding the roles of ESO %s: %w", chart, err)
	}
	if r.never, err = decodeFacts(neverTrimJSON, chart); err != nil {
		return nil, err
	}
	if r.uses, err = decodeFacts(usesJSON, chart); err != nil {
		return nil, err
	}
	return r, nil
}

func nearest(chart string) string {
	if !semver.IsValid("v" + chart) {
		return ""
	}
	versions := Versions()
	best := versions[0]
	for _, v := range versions {
		if compare(v, chart) <= 0 {
			best = v
		}
	}
	return best
}

// compare orders chart versions, which carry no v.
func compare(a, b string) int {
	return semver.Compare("v"+a, "v"+b)
}

func (r *Release) before(version string) bool {
	return compare(r.Chart, version) < 0
}
