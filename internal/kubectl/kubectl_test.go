package kubectl

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake puts a kubectl that is a shell script on the PATH.
func fake(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestOutput(t *testing.T) {
	for name, test := range map[string]struct {
		script, want, err string
		client            Client
		limit             int64
	}{
		"said":         {script: `echo "$@"`, want: "get pods\n", limit: 1 << 20},
		"of a context": {script: `echo "$@"`, want: "get pods --context=prod\n", client: Client{Context: "prod"}, limit: 1 << 20},
		"too much":     {script: `yes`, err: "kubectl printed more than 1 MiB", limit: 1 << 20},
		"refused":      {script: `echo "Warning: old" >&2; echo "error: \033[31mforbidden" >&2; exit 1`, err: `kubectl says: error: \x1b[31mforbidden`, limit: 1 << 20},
		"speechless":   {script: `exit 3`, err: "kubectl says: exit status 3", limit: 1 << 20},
		"slow":         {script: `exec sleep 60`, err: "kubectl was not done after 50ms", client: Client{Patience: 50 * time.Millisecond}, limit: 1 << 20},
		"talkative":    {script: `yes | head -c 1000000 >&2; echo done`, want: "done\n", limit: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, test.script)
			out, err := test.client.Output(t.Context(), test.limit, "get", "pods")
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil || string(out) != test.want {
				t.Errorf("%q, error %v", out, err)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := (Client{}).Output(t.Context(), 1, "version"); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}

// TestServes: only what the cluster has is asked for, since kubectl fails for the rest.
func TestServes(t *testing.T) {
	fake(t, `printf 'pods\nroles.rbac.authorization.k8s.io\na-mint.constraints.gatekeeper.sh\nb.constraints.gatekeeper.sh\nconstraints.gatekeeper.sh\n'`)
	got, err := Client{}.Serves(t.Context(), []string{"pods", "secretstores.external-secrets.io", "*.constraints.gatekeeper.sh"})
	if err != nil || !slices.Equal(got, []string{"pods", "a-mint.constraints.gatekeeper.sh", "b.constraints.gatekeeper.sh"}) {
		t.Errorf("%q, error %v", strings.Join(got, " "), err)
	}
}
