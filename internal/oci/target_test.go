package oci

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for url, want := range map[string][2]string{
		"oci://registry.example.com/fleet":           {"registry.example.com/fleet", ""},
		"oci://registry.example.com:5000/a/b-c:v1.2": {"registry.example.com:5000/a/b-c", "v1.2"},
		"oci://localhost:5000/fleet:latest":          {"localhost:5000/fleet", "latest"},
		"oci://[::1]:5000/fleet":                     {"[::1]:5000/fleet", ""},
		"oci://docker.io/acme/fleet":                 {"index.docker.io/acme/fleet", ""},
	} {
		got, err := ParseTarget(url)
		if err != nil || got.String() != want[0] || got.Tag != want[1] {
			t.Errorf("%s: %v, tag %q, %v", url, got, got.Tag, err)
		}
	}
	for url, want := range map[string]string{
		"":                                         "no repository",
		"oci://":                                   "no repository",
		"oci://registry.example.com":               "no repository",
		"oci://registry.example.com/":              "no repository",
		"oci:///fleet":                             "no repository",
		"https://registry.example.com/f":           "no repository",
		"registry.example.com/f":                   "no repository",
		"oci://fleet/web":                          "write its name in full",
		"oci://registry.example.com/FLEET":         "no repository",
		"oci://registry.example.com/f:":            "no tag",
		"oci://registry.example.com/f:a:b":         "no tag",
		"oci://registry.example.com/f:-a":          "no tag",
		"oci://r.test/f@sha256:0c1":                "a digest is what push makes",
		"oci://u:hunter2@r.test/f":                 "no user, password",
		"oci://r.test/f?token=hunter2":             "no user, password",
		"oci://r.test/f#hunter2":                   "no user, password",
		"oci://r.test/" + strings.Repeat("a", 300): "no repository",
	} {
		_, err := ParseTarget(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret is repeated: %v", url, err)
		}
	}
}

func TestBelow(t *testing.T) {
	target, err := ParseTarget("oci://registry.example.com/fleet:v1")
	if err != nil {
		t.Fatal(err)
	}
	below, err := target.Below("eu-1/tenants/a--b")
	if err != nil || below.String() != "registry.example.com/fleet/eu-1/tenants/a--b" || below.Tag != "v1" || below.Host() != "registry.example.com" {
		t.Errorf("%v, %v", below, err)
	}
	if _, err := target.Below(strings.Repeat("a", 300)); err == nil {
		t.Error("a name that is too long for a registry is none to be told of")
	}
}
