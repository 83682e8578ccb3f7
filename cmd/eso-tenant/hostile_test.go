package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// maxMemory is what a run may use, whatever it is given, in bytes.
const maxMemory = 1 << 30

// patience is how long a run may take before it counts as hanging. It is far
// more than any needs: what a run does is bounded, and not how fast machines are.
const patience = 5 * time.Minute

// tenantHead begins a Tenant up to its spec's fields.
const tenantHead = "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: big}\nspec:\n"

// hostile are inputs too large to be kept as files: what is written, and what
// the first line that the user sees has to say.
var hostile = map[string]struct {
	write func(w *bufio.Writer)
	want  string
}{
	"50 MiB, one text": {
		func(w *bufio.Writer) { fill(w, tenantHead+`  x: "`, "a", 50<<20, `"`) },
		`in.yaml:1:1: this source has more than 32 MiB [source-too-large]`,
	},
	"50 MiB, many keys": {
		func(w *bufio.Writer) {
			w.WriteString(tenantHead + "  namespaces:\n")
			for i := range 2_500_000 {
				fmt.Fprintf(w, "    big-%d: {}\n", i)
			}
		},
		`in.yaml:1:1: this source has more than 32 MiB [source-too-large]`,
	},
	"31 MiB, one text": {
		func(w *bufio.Writer) {
			fill(w, tenantHead+"  namespaces: {}\n"+`  members: [{kind: Group, role: view, name: "`, "a", 31<<20, `"}]`)
		},
		`in.yaml:6:45: this text is longer than 64 KiB [source-too-large]`,
	},
	"31 MiB, one list": {
		func(w *bufio.Writer) { fill(w, tenantHead+"  x: [", "1,", 31<<19, "]") },
		`values up to here [source-too-large]`,
	},
	"31 MiB, lists in many documents": {
		func(w *bufio.Writer) {
			for range 31 {
				fill(w, "---\n"+tenantHead+"  x: [", "1,", 1<<19, "]\n")
			}
		},
		`values; at most `,
	},
	"many namespaces in one tenant": {
		func(w *bufio.Writer) {
			w.WriteString(tenantHead + "  namespaces:\n")
			for i := range 100_000 {
				fmt.Fprintf(w, "    big-%d: {}\n", i)
			}
		},
		`in.yaml:1:1: this has 100007 values; at most 20000 are read [source-too-large]`,
	},
	"many problems": {
		func(w *bufio.Writer) {
			w.WriteString(tenantHead + "  namespaces:\n")
			for i := range 9_000 {
				fmt.Fprintf(w, "    big_%d: {}\n", i)
			}
		},
		`in.yaml:6:5: spec.namespaces: "big_0" is no valid name here [name-invalid]`,
	},
	"10,000 deep, flow": {
		func(w *bufio.Writer) { fill(w, tenantHead+"  x: ", "[", 9_990, strings.Repeat("]", 9_990)) },
		`in.yaml:5:69: values are nested more than 64 deep [yaml-too-deep]`,
	},
	"31 MiB of brackets": {
		func(w *bufio.Writer) { fill(w, tenantHead+"  x: ", "[", 31<<20, "") },
		`[source-too-large]`,
	},
	"10,000 deep, in blocks": {
		func(w *bufio.Writer) { fill(w, tenantHead+"  x:\n    ", "- ", 9_990, "x\n") },
		`values are nested more than 64 deep [yaml-too-deep]`,
	},
	"200,000 documents": {
		func(w *bufio.Writer) { fill(w, "", "---\napiVersion: v1\nkind: ConfigMap\n", 200_000, "") },
		`this is document 100001 of the run; at most 100000 are read [source-too-large]`,
	},
	"200,000 tenants": {
		func(w *bufio.Writer) {
			for i := range 200_000 {
				fmt.Fprintf(w, "---\napiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t%d}\nspec: {namespaces: {t%d: {}}}\n", i, i)
			}
		},
		`this is document 100001 of the run; at most 100000 are read [source-too-large]`,
	},
	"200,000 empty documents": {
		func(w *bufio.Writer) { fill(w, "", "---\n", 200_000, "") },
		`this is document 100001 of the run; at most 100000 are read [source-too-large]`,
	},
	"alias bomb": {
		func(w *bufio.Writer) {
			w.WriteString(tenantHead + "  namespaces: {}\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
			for i := range 12 {
				fmt.Fprintf(w, "  a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9), i)
			}
		},
		`values, aliases expanded [yaml-too-deep]`,
	},
	"binary rubbish": {
		func(w *bufio.Writer) { fill(w, "\x7fELF\x02\x01\x01\x00", "\xde\xad\xbe\xef", 1<<20, "") },
		`in.yaml:1:1: control character U+007F stands in this text [yaml-encoding]`,
	},
}

// fill writes text n times between a head and a tail.
func fill(w *bufio.Writer, head, text string, n int, tail string) {
	w.WriteString(head)
	for range n {
		w.WriteString(text)
	}
	w.WriteString(tail)
}

// Whatever the input: exit code 1, a first line that says what it is, nothing
// written, and bounded memory.
func TestHostileInput(t *testing.T) {
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "in.yaml"), tt.write)
			got := start(t, dir, "render", site(t), "in.yaml", "-o", "out").wait(t)
			if got.code != exitProblems || got.stdout != "" {
				t.Errorf("exit code %d, standard output %q", got.code, got.stdout)
			}
			if first, _, _ := strings.Cut(got.stderr, "\n"); !strings.HasPrefix(first, "in.yaml:") || !strings.Contains(first, tt.want) {
				t.Errorf("got:  %.300s\nwant: %s", first, tt.want)
			}
			if got.memory > shadow*maxMemory {
				t.Errorf("%d MiB of memory", got.memory>>20)
			}
			if _, err := os.Lstat(filepath.Join(dir, "out")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is output: %v", err)
			}
		})
	}
}

// A reader that goes away is an error that is said, not a signal to die of.
func TestClosedPipe(t *testing.T) {
	for _, args := range [][]string{{"render", site(t)}, {"vet", site(t)}, {"version"}} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		run := command(t, t.TempDir(), args...)
		run.Stdout = writer
		got := (&child{cmd: run}).start(t).wait(t)
		writer.Close()
		if want := "eso-tenant: writing output: write /dev/stdout: broken pipe\n"; got.code != exitFailed || got.stderr != want {
			t.Errorf("%v: exit code %d, standard error %q", args, got.code, got.stderr)
		}
	}
}

// site is the absolute path of the specifications that the scripts use.
func site(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "site"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// write streams a file, so that the test itself stays small: what memory a
// child used is at least what its parent had when it started it.
func write(t *testing.T, name string, content func(w *bufio.Writer)) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	content(w)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// child is a run of the command as a process of its own.
type child struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// result is what a child leaves.
type result struct {
	code           int
	stdout, stderr string
	memory         int64 // the most it had, in bytes
}

// command prepares a run in a folder. The test binary is found as eso-tenant,
// see TestMain.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "eso-tenant", args...)
	cmd.Dir = dir
	return cmd
}

func start(t *testing.T, dir string, args ...string) *child {
	t.Helper()
	return (&child{cmd: command(t, dir, args...)}).start(t)
}

func (c *child) start(t *testing.T) *child {
	t.Helper()
	if c.cmd.Stdout == nil {
		c.cmd.Stdout = &c.stdout
	}
	c.cmd.Stderr = &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) wait(t *testing.T) result {
	t.Helper()
	if err := c.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	state := c.cmd.ProcessState
	return result{code: state.ExitCode(), stdout: c.stdout.String(), stderr: c.stderr.String(), memory: peakMemory(state)}
}
