//go:build unix

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// manyTenants writes a Platform and n tenants, with a mark in every namespace.
func manyTenants(t *testing.T, name string, n int, mark string) {
	t.Helper()
	write(t, name, func(w *bufio.Writer) {
		w.WriteString("apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec:\n" +
			"  externalSecrets: {version: v2.9.0}\n  enforcement: enforce\n  providers: {}\n  tenantPolicy: {labels: [mark]}\n")
		for i := range n {
			fmt.Fprintf(w, "---\napiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t%d}\nspec: {namespaces: {t%d: {labels: {mark: %s}}}}\n", i, i, mark)
		}
	})
}

// Interrupted while it writes, a render leaves what was there before, and
// nothing else. That this holds at each of its steps, TestWriteFolderInterrupted
// of package fn shows; here it is the signal that counts.
func TestInterrupt(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			manyTenants(t, filepath.Join(dir, "old.yaml"), 3, "old")
			manyTenants(t, filepath.Join(dir, "new.yaml"), 3_000, "new")
			if got := start(t, dir, "render", "old.yaml", "-o", "out").wait(t); got.code != exitFine {
				t.Fatalf("exit code %d: %s", got.code, got.stderr)
			}
			before := mustList(t, out)
			run := start(t, dir, "render", "new.yaml", "-o", "out")
			stopAtWriting(t, run, out)
			for _, s := range []syscall.Signal{signal, syscall.SIGCONT} {
				if err := run.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			got := run.wait(t)
			if want := "eso-tenant: interrupted; each cluster's folder is whole, the old one or the new one\n"; got.code != exitFailed || got.stderr != want || got.stdout != "" {
				t.Errorf("exit code %d, standard error %q, standard output %q", got.code, got.stderr, got.stdout)
			}
			if after := mustList(t, out); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// stopAtWriting halts the run once it has begun to write, long before its end.
func stopAtWriting(t *testing.T, run *child, out string) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(100 * time.Microsecond) {
		if temporary, _ := filepath.Glob(filepath.Join(out, ".eso-tenant-*", "*")); len(temporary) == 0 {
			continue
		}
		if err := run.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("nothing is written")
}

// Where nothing has to be tidied up, a signal just ends the process: somebody
// who looks at a command that waits for input presses Ctrl-C.
func TestInterruptWhileReading(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, dir, "vet", "pipe.yaml")
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := run.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	run.wait(t)
	if status, ok := run.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v, not by the signal", run.cmd.ProcessState)
	}
}

func mustList(t *testing.T, folder string) string {
	t.Helper()
	lines, err := list(folder)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
