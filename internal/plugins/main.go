// Command plugins builds eso-tenant as a plugin of the Flux CLI and of kubectl,
// for every platform that these have: archives, their checksums, and the
// manifests for Flux's catalogue and for krew. The same commit makes the same
// bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stderr))
}

func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("plugins", flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.String("version", "", "version, as `git describe --tags --always` has it")
	output := flags.String("o", "bin/plugins", "folder to write to")
	only := flags.String("platforms", strings.Join(platforms, ","), "platforms to build for")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	wanted, err := chosen(*only)
	if err == nil && (*version == "" || flags.NArg() > 0) {
		err = errors.New("usage: plugins -version VERSION [-o FOLDER] [-platforms OS/ARCH,…]")
	}
	if err != nil {
		fmt.Fprintln(stderr, "plugins:", err)
		return 2
	}
	release := newRelease(*version)
	for _, p := range wanted {
		fmt.Fprintln(stderr, "building for", p)
		binary, err := build(ctx, p, *version)
		if err == nil {
			err = release.add(p, binary)
		}
		if err != nil {
			fmt.Fprintln(stderr, "plugins:", err)
			return 3
		}
	}
	if err := release.write(*output); err != nil {
		fmt.Fprintln(stderr, "plugins:", err)
		return 3
	}
	return 0
}

// platforms are those that Flux's catalogue takes.
var platforms = []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}

// chosen are the platforms of a list, each of which has to be one.
func chosen(list string) ([]string, error) {
	var wanted []string
	for _, p := range platforms {
		if strings.Contains(","+list+",", ","+p+",") {
			wanted = append(wanted, p)
		}
	}
	if len(wanted) != strings.Count(list, ",")+1 {
		return nil, fmt.Errorf("%s: the platforms are %s", list, strings.Join(platforms, ", "))
	}
	return wanted, nil
}

// build makes the binary for a platform, as `make build` does for this one.
func build(ctx context.Context, platform, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "eso-tenant-plugins-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "eso-tenant")
	goos, goarch, _ := strings.Cut(platform, "/")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+version, "-o", file, "./cmd/eso-tenant")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building for %s: %w\n%s", platform, err, out)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the binary: %w", err)
	}
	return binary, nil
}
