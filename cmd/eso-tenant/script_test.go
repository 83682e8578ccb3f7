package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/tar"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the command: started as eso-tenant, as the
// scripts and the tests beside them do, or as a plugin, it runs main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		programName: main, fluxPlugin: main, kubectlPlugin: main, kubectlComplete: main,
	})
}

// TestScript runs testdata/script, each in a folder of its own with a copy of
// testdata/site: a Platform eu-1 and its tenants payments and web. $REGISTRY is a
// registry of its own, $LOCKED one that wants the password of docker's.json.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TERM", "xterm")
			serveRegistries(env)
			return os.CopyFS(filepath.Join(env.WorkDir, "site"), os.DirFS(filepath.Join("testdata", "site")))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"listing": listing,
			"pulled":  pulled,
		},
	})
}

// serveRegistries starts registries in memory, which end with the script.
func serveRegistries(env *testscript.Env) {
	open := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	locked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ci" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	})
	for name, handler := range map[string]http.Handler{"REGISTRY": open, "LOCKED": locked} {
		server := httptest.NewServer(handler)
		env.Defer(server.Close)
		env.Setenv(name, server.Listener.Addr().String())
	}
	env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, ".docker"))
}

// pulled unpacks what a registry has: pulled REFERENCE FOLDER. Flux's own reader
// of archives does it; the annotations are in FOLDER.annotations.
func pulled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pulled REFERENCE FOLDER")
	}
	reference, err := name.ParseReference(args[0])
	ts.Check(err)
	image, err := remote.Image(reference)
	ts.Check(err)
	layers, err := image.Layers()
	ts.Check(err)
	content, err := layers[0].Compressed()
	ts.Check(err)
	defer content.Close()
	ts.Check(os.MkdirAll(ts.MkAbs(args[1]), 0o755))
	ts.Check(tar.Untar(content, ts.MkAbs(args[1])))
	manifest, err := image.Manifest()
	ts.Check(err)
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(manifest.Annotations)) {
		fmt.Fprintf(&lines, "%s %s\n", key, manifest.Annotations[key])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]+".annotations"), []byte(lines.String()), 0o600))
}

// exits runs a command and demands its exit code: exits CODE COMMAND ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if failure := (*exec.ExitError)(nil); errors.As(err, &failure) {
		got = failure.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q exits with %d, not %d; standard error:\n%s", args[1:], got, want, ts.ReadFile("stderr"))
	}
}

// listing writes what is below a folder to a file: listing FOLDER FILE.
func listing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: listing FOLDER FILE")
	}
	lines, err := list(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(lines), 0o600))
}

// list is a folder as text, one entry a line, hidden ones too: its mode, its
// name, and for a file the hash of its content.
func list(folder string) (string, error) {
	var lines strings.Builder
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		content := ""
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = fmt.Sprintf(" %.4x", sha256.Sum256(data))
		}
		fmt.Fprintf(&lines, "%s %s%s\n", info.Mode(), filepath.ToSlash(inside), content)
		return nil
	})
	return lines.String(), err
}
