// Package build makes the programs of the test bed from Go modules, and keeps them: a component is built again only if
// its module, our sources of it, how it is built, or the version of Go changes.
package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Builder builds components.
type Builder struct {
	// Components is the folder with the components' modules.
	Components string
	// Cache is the folder that results are kept in.
	Cache string
	// Log is told what is built, since that takes minutes.
	Log io.Writer
}

// NewBuilder returns the builder of this repository. It finds it by the working directory, which is within.
func NewBuilder(log io.Writer) (*Builder, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	return &Builder{
		Components: filepath.Join(root, "internal", "e2e", "components"),
		Cache:      filepath.Join(root, ".cache", "e2e"),
		Log:        log,
	}, nil
}

// Root returns the repository's root: the folder above the working directory that holds cmd/eso-tenant.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "cmd", "eso-tenant", "main.go")); err == nil {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("the working directory is not within the repository of eso-tenant")
		}
		folder = above
	}
}

// Build returns the folder with a component's binaries and files. It builds them if they are not there, one component
// at a time, also among processes.
func (b *Builder) Build(ctx context.Context, c Component) (folder string, err error) {
	key, err := b.key(ctx, c)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", c.Name, err)
	}
	folder = filepath.Join(b.Cache, c.Name+"-"+key)
	if exists(folder) {
		return folder, nil
	}
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return "", fmt.Errorf("building %s: %w", c.Name, err)
	}
	unlock, err := Lock(filepath.Join(b.Cache, "lock"))
	if err != nil {
		return "", fmt.Errorf("building %s: %w", c.Name, err)
	}
	defer unlock()
	if exists(folder) { // somebody else built it while we waited
		return folder, nil
	}
	begin := time.Now()
	fmt.Fprintf(b.Log, "building %s; from cold caches that takes minutes\n", c.Name)
	if err := b.make(ctx, c, folder); err != nil {
		return "", fmt.Errorf("building %s: %w", c.Name, err)
	}
	fmt.Fprintf(b.Log, "built %s in %d s\n", c.Name, int(time.Since(begin).Seconds()))
	return folder, b.forget(c, folder)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// make builds into a folder beside the target and moves it there, so that what is in the cache is whole.
func (b *Builder) make(ctx context.Context, c Component, folder string) error {
	const needed = 6 << 30 // the compiler's cache grows by 5 GB for all components
	if err := Room(b.Cache, needed); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(b.Cache, "unfinished-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	from := filepath.Join(b.Components, c.Name)
	upstream := ""
	if c.Upstream != "" {
		if upstream, err = b.module(ctx, c); err != nil {
			return err
		}
	}
	if c.Trim != nil {
		from = filepath.Join(unfinished, "trimmed")
		if err := c.Trim.copy(upstream, from, c.Upstream); err != nil {
			return fmt.Errorf("trimming %s: %w", c.Upstream, err)
		}
	}
	result := filepath.Join(unfinished, "result")
	if err := compile(ctx, c, from, result); err != nil {
		return err
	}
	for _, file := range c.Files {
		if err := copyAll(filepath.Join(upstream, file), filepath.Join(result, file)); err != nil {
			return err
		}
	}
	return os.Rename(result, folder)
}

func compile(ctx context.Context, c Component, from, to string) error {
	flags := []string{"-s", "-w"}
	for name, value := range c.Variables {
		flags = append(flags, "-X", name+"="+value)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for binary, path := range c.Packages {
		_, err := run(ctx, from, "build", "-trimpath", "-ldflags", strings.Join(flags, " "), "-o", filepath.Join(to, binary), path)
		if err != nil {
			return err
		}
	}
	return nil
}

// module returns the folder of a component's upstream module, fetched if need be, at the version that go.mod has and
// with the sum that go.sum has.
func (b *Builder) module(ctx context.Context, c Component) (string, error) {
	out, err := run(ctx, filepath.Join(b.Components, c.Name), "mod", "download", "-json", c.Upstream)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("reading what go says of %s: %w", c.Upstream, err)
	}
	return module.Dir, nil
}

// forget removes what was built of a component before.
func (b *Builder) forget(c Component, keep string) error {
	old, err := filepath.Glob(filepath.Join(b.Cache, c.Name+"-????????????????"))
	if err != nil {
		return err
	}
	for _, folder := range old {
		if folder != keep {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}
	return err
}

// run returns the standard output of a command of Go; an error says what it had to say.
func run(ctx context.Context, folder string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = folder
	// One setting for all, or each caller would compile everything anew; and no workspace of the user's.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("running go %s: %w\n%s", arguments[0], err, tail(failure.String(), 40))
	}
	return out.Bytes(), nil
}

// tail returns a text's last lines.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// copy makes a copy of a module that can be written to, and writes the files that register what is left in it.
func (t *Trim) copy(from, to, module string) error {
	for _, part := range t.Copy {
		if err := copyAll(filepath.Join(from, part), filepath.Join(to, part)); err != nil {
			return err
		}
	}
	for path, packages := range t.Imports {
		file := filepath.Join(to, filepath.FromSlash(path))
		if !exists(file) {
			return fmt.Errorf("%s is not there any more", path)
		}
		var text strings.Builder
		fmt.Fprintf(&text, "package %s\n\nimport (\n", filepath.Base(filepath.Dir(file)))
		for _, name := range slices.Sorted(slices.Values(packages)) {
			fmt.Fprintf(&text, "\t_ %q\n", module+"/"+name)
		}
		text.WriteString(")\n")
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// copyAll copies a file or a folder. A module's files may not be written to; the copies may.
func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a module, which nobody changes
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

// ESOTenant builds our own binary of this tree into a folder, and returns its path.
func (b *Builder) ESOTenant(ctx context.Context, folder string) (string, error) {
	return b.ours(ctx, folder, "eso-tenant")
}

// Controller is ESOTenant for our controller.
func (b *Builder) Controller(ctx context.Context, folder string) (string, error) {
	return b.ours(ctx, folder, "eso-tenant-controller")
}

func (b *Builder) ours(ctx context.Context, folder, name string) (string, error) {
	path := filepath.Join(folder, name)
	root := filepath.Join(b.Components, "..", "..", "..")
	if _, err := run(ctx, root, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/"+name); err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	return path, nil
}
