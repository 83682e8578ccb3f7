//go:build unix

package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Interrupted, a push ends at once and prints what was pushed until then.
func TestPushInterrupted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	manyTenants(t, filepath.Join(dir, "in.yaml"), 2, "x")
	inMemory := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	stuck, first := make(chan struct{}), make(chan struct{})
	var once, whole sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/t1/") {
			once.Do(func() { close(stuck) })
			<-r.Context().Done()
			return
		}
		inMemory.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/t0/manifests/") {
			whole.Do(func() { close(first) })
		}
	}))
	defer server.Close()
	run := start(t, dir, "push", "oci://"+server.Listener.Addr().String()+"/fleet", "in.yaml", "--tenant", "t0,t1", "--source", "https://git.example.com/x", "--revision", "x")
	<-stuck
	<-first
	if err := run.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	got := run.wait(t)
	want := "eso-tenant: interrupted; what is printed was pushed, and the same command goes on from there\n"
	if got.code != exitFailed || got.stderr != want {
		t.Errorf("exit code %d, standard error %q", got.code, got.stderr)
	}
	if strings.Contains(got.stdout, "/t1@") {
		t.Errorf("standard output %q", got.stdout)
	}
}

// What fails ends the others, and is said once.
func TestPushFails(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	manyTenants(t, filepath.Join(dir, "in.yaml"), 40, "x")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	got := start(t, dir, "push", "oci://"+server.Listener.Addr().String()+"/fleet", "in.yaml", "--source", "https://git.example.com/x", "--revision", "x").wait(t)
	if got.code != exitFailed || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "does not let these credentials push to fleet/eu-1/tenants/t") {
		t.Errorf("exit code %d, standard output %q, standard error %q", got.code, got.stdout, got.stderr)
	}
}
