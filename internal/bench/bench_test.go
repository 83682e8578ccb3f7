package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCountObjects(t *testing.T) {
	tests := map[string]struct {
		stream string
		want   counts
	}{
		"nothing": {"", counts{}},
		"yaml, with a roleRef": {
			"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: t0001-prod\n---\n" +
				"kind: RoleBinding\nmetadata:\n  namespace: t0001-prod\nroleRef:\n  kind: Role\n",
			counts{"Namespace": 1, "RoleBinding": 1},
		},
		"json as go-jsonnet prints it": {
			"---\n{\n   \"kind\": \"RoleBinding\",\n   \"metadata\": {\n      \"namespace\": \"t10000-prod\"\n   },\n" +
				"   \"roleRef\": {\n      \"kind\": \"Role\"\n   }\n}\n...\n",
			counts{"RoleBinding": 1},
		},
		"the platform's own objects and comments of helm": {
			"---\n# Source: t0001-prod\n---\nkind: ClusterRole\nmetadata:\n  name: eso\n",
			counts{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := countObjects(strings.NewReader(test.stream))
			if err != nil || !maps.Equal(got, test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

// Every template must write every tenant: a form that forgets one is only found by a run of its tool, in minutes.
func TestWriteWorkload(t *testing.T) {
	for _, tool := range toolNames() {
		t.Run(tool, func(t *testing.T) {
			dir := t.TempDir()
			if err := writeWorkload(tool, dir, tenantNames(3)); err != nil {
				t.Fatal(err)
			}
			text := readAll(t, dir)
			for _, tenant := range tenantNames(3) {
				if !strings.Contains(text, tenant+"-prod") {
					t.Errorf("%s is in no file", tenant)
				}
			}
			if strings.Contains(text, "{{range") {
				t.Error("a template was copied, not executed")
			}
		})
	}
}

func readAll(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintln(&all, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestPromises(t *testing.T) {
	spent := func(name string, tenants int, cpu time.Duration, rss int64) *subject {
		return &subject{
			binary: binary{tool: tool{name: name}}, tenants: tenants,
			samples: []sample{{cpu: cpu, rss: rss * mebibyte}, {cpu: 2 * cpu, rss: rss * mebibyte}},
		}
	}
	good := report{
		tools: []*subject{
			spent(ours, 1000, 500*time.Millisecond, 60),
			spent(helm, 1000, 800*time.Millisecond, 90),
			spent(cue, 1000, 1000*time.Millisecond, 250),
		},
		large: spent(ours, 10000, 5500*time.Millisecond, 512),
		exec:  spent(ours, 1, 40*time.Millisecond, 30),
		audit: spent(ours, 0, 200*time.Millisecond, 50), jq: spent("jq", 0, 6*time.Second, 3), logMB: wholeLogMB,
	}
	for _, p := range good.promises() {
		if p.broken() {
			t.Errorf("%s: %g is broken, want it to hold at %g", p.what, p.is, p.limit)
		}
	}
	bad := report{
		tools: []*subject{good.tools[1], spent(ours, 1000, 800*time.Millisecond, 90), good.tools[2]},
		large: spent(ours, 10000, 9*time.Second, 513),
		audit: spent(ours, 0, 201*time.Millisecond, 97), jq: spent("jq", 0, 6*time.Second, 3), logMB: wholeLogMB,
	}
	broken := slices.DeleteFunc(bad.promises(), func(p promise) bool { return !p.broken() })
	if len(broken) != 7 { // cue's memory alone is kept
		t.Errorf("got %d broken promises, want 7: %+v", len(broken), broken)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"-runs", "0"}, {"-tenants", "0"}, {"-tenants", "100000"}, {"-only", "kustomize"}, {"-check", "-only", helm}, {"-log", "-1"}, {"-log", "5000"}, {"x"},
	} {
		var stderr strings.Builder
		if _, err := parse(args, &stderr); err == nil || stderr.Len() == 0 {
			t.Errorf("parse(%q): got error %v and message %q, want both", args, err, stderr.String())
		}
	}
}
