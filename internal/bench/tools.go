package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	ours = "eso-tenant"
	helm = "helm"
	cue  = "cue"
)

// peersModfile pins the other tools, apart from go.mod, so that none of their requirements reaches our users.
const peersModfile = "internal/bench.mod"

// tool is a program under measurement; its name is also that of its folder under peers/.
type tool struct {
	name    string
	command string   // as the table shows it
	pkg     string   // what to build
	args    []string // run in the workload's folder
}

func tools() []tool {
	return []tool{
		{name: ours, command: "eso-tenant render", pkg: "./cmd/eso-tenant", args: []string{"render", "."}},
		{
			name: "jsonnet", command: "go-jsonnet -y", args: []string{"-y", "main.jsonnet"},
			pkg: "github.com/google/go-jsonnet/cmd/jsonnet",
		},
		{
			name: helm, command: "helm template", args: []string{"template", "bench", "."},
			pkg: "helm.sh/helm/v3/cmd/helm",
		},
		{
			name: cue, command: "cue export", args: []string{"export", "-e", "stream", "--out", "text", "."},
			pkg: "cuelang.org/go/cmd/cue",
		},
	}
}

func toolNames() []string {
	var names []string
	for _, t := range tools() {
		names = append(names, t.name)
	}
	return names
}

// binary is a built tool.
type binary struct {
	tool
	path    string
	version string
}

// buildAll builds the selected tools: ours into scratch, since it changes all the time, the others into cache.
func buildAll(ctx context.Context, selected []tool, root, scratch string) ([]binary, error) {
	cache := filepath.Join(root, ".cache", "bin")
	var peers []string
	built := make([]binary, 0, len(selected))
	for _, t := range selected {
		b := binary{tool: t, path: filepath.Join(cache, t.name)}
		if t.name == ours {
			b.path = filepath.Join(scratch, t.name)
			if err := build(ctx, root, "-trimpath", "-ldflags=-s -w", "-o", b.path, t.pkg); err != nil {
				return nil, err
			}
		} else {
			peers = append(peers, t.pkg)
		}
		built = append(built, b)
	}
	if len(peers) > 0 {
		args := append([]string{"-modfile=" + peersModfile, "-o", cache + string(filepath.Separator)}, peers...)
		if err := build(ctx, root, args...); err != nil {
			return nil, err
		}
	}
	for i := range built {
		if err := built[i].readVersion(); err != nil {
			return nil, err
		}
	}
	return built, nil
}

func build(ctx context.Context, root string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building with %s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// readVersion takes the version from the binary itself, so the table cannot name another one than was run.
func (b *binary) readVersion() error {
	info, err := buildinfo.ReadFile(b.path)
	if err != nil {
		return fmt.Errorf("reading build information: %w", err)
	}
	b.version = info.Main.Version
	if b.name == ours {
		b.version = "this tree"
	}
	return nil
}

// moduleRoot is the folder of go.mod, wherever below it bench was started.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module: %w", err)
	}
	gomod := strings.TrimSpace(string(out))
	if filepath.Base(gomod) != "go.mod" {
		return "", fmt.Errorf("no go.mod here or above: start bench inside the repository")
	}
	return filepath.Dir(gomod), nil
}
