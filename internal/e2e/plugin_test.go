package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

// A real kubectl finds us by our name, hands over arguments and exit codes, and asks for completion; it needs no cluster.
func TestKubectlPlugin(t *testing.T) {
	t.Parallel()
	builder, err := build.NewBuilder(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	kubernetes, err := builder.Build(t.Context(), build.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	binary, err := builder.Ours(t.Context(), "eso-tenant", folder)
	if err != nil {
		t.Fatal(err)
	}
	plugins := filepath.Join(folder, "plugins")
	if err := os.Mkdir(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubectl-eso_tenant", "kubectl_complete-eso_tenant"} {
		if err := os.Symlink(binary, filepath.Join(plugins, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a command":           {[]string{"eso-tenant", "vet", filepath.Join(root, "examples", "quickstart")}, 0, "valid: 1 cluster"},
		"help":                {[]string{"eso-tenant", "vet", "--help"}, 0, "kubectl eso-tenant vet"},
		"a wrong command":     {[]string{"eso-tenant", "nosuch"}, 2, `unknown command "nosuch" for "kubectl eso-tenant"`},
		"kubectl's own list":  {[]string{"plugin", "list"}, 0, filepath.Join(plugins, "kubectl-eso_tenant")},
		"completion":          {[]string{"__complete", "eso-tenant", "rend"}, 0, "render\t"},
		"completion of flags": {[]string{"__complete", "eso-tenant", "render", "--form"}, 0, "--format\t"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), filepath.Join(kubernetes, "kubectl"), test.args...)
			command.Env = []string{"HOME=" + folder, "PATH=" + plugins}
			var out bytes.Buffer
			command.Stdout, command.Stderr = &out, &out
			err := command.Run()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != test.code || !strings.Contains(out.String(), test.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, test.code, test.want, out.String())
			}
		})
	}
}
