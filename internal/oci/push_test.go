package oci

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// counter is a registry that counts what is written to it.
type counter struct {
	next http.Handler
	mu   sync.Mutex
	puts []string
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.mu.Lock()
		c.puts = append(c.puts, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
	}
	c.next.ServeHTTP(w, r)
}

// writes are the writes since it was asked last.
func (c *counter) writes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	puts := c.puts
	c.puts = nil
	return puts
}

// noCredentials keeps the machine's own from what is tested.
func noCredentials(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, variable := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(variable, home)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	return home
}

// serve starts a registry and connects to it.
func serve(t *testing.T, handler http.Handler) (*Registry, Target) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return connect(t, server.Listener.Addr().String(), Options{Timeout: 20 * time.Second})
}

func connect(t *testing.T, host string, o Options) (*Registry, Target) {
	t.Helper()
	target, err := ParseTarget("oci://" + host + "/fleet")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Connect(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, target
}

func inMemory() *counter {
	return &counter{next: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
}

func mustPush(t *testing.T, r *Registry, target Target, a *Artifact, tags ...string) Pushed {
	t.Helper()
	pushed, err := r.Push(t.Context(), target, tags, a)
	if err != nil {
		t.Fatal(err)
	}
	return pushed
}

// tagged is what a tag names.
func tagged(t *testing.T, target Target, tag string) string {
	t.Helper()
	found, err := remote.Head(target.repository.Tag(tag))
	if err != nil {
		t.Fatal(err)
	}
	return found.Digest.String()
}

// Content decides: what was pushed once is not written again, from whatever
// commit, and every tag names it.
func TestPush(t *testing.T) {
	noCredentials(t)
	web := inMemory()
	r, target := serve(t, web)
	first := packed(t, someFiles, someone)

	pushed := mustPush(t, r, target, first, "latest", "v1")
	if want := (Pushed{Digest: digestOf(t, first), New: true}); pushed != want {
		t.Errorf("the first push: %+v, not %+v", pushed, want)
	}
	for _, tag := range []string{"latest", "v1"} {
		if got := tagged(t, target, tag); got != pushed.Digest {
			t.Errorf("tag %s names %s", tag, got)
		}
	}
	web.writes()

	later := someone
	later.Revision, later.Created = "main@sha1:f00", later.Created.Add(time.Hour)
	for what, from := range map[string]Provenance{"the same commit": someone, "a later commit": later, "no known time": {Source: someone.Source, Revision: "x"}} {
		if again := mustPush(t, r, target, packed(t, someFiles, from), "latest", "v1"); again.New || again.Digest != pushed.Digest {
			t.Errorf("%s: %+v", what, again)
		}
		if writes := web.writes(); len(writes) > 0 {
			t.Errorf("%s: %q", what, writes)
		}
	}

	// A new tag comes before one that knows the content.
	if again := mustPush(t, r, target, packed(t, someFiles, later), "v2", "latest"); !again.New || again.Digest != pushed.Digest {
		t.Errorf("a new tag: %+v", again)
	}
	if got, writes := tagged(t, target, "v2"), web.writes(); got != pushed.Digest || len(writes) != 1 {
		t.Errorf("the new tag names %s after %q", got, writes)
	}

	moved := someone
	moved.Source = "https://git.example.com/other"
	other := append([]File{{"c.yaml", []byte("x: 1\n")}}, someFiles...)
	for what, a := range map[string]*Artifact{"content": packed(t, other, later), "a source": packed(t, someFiles, moved)} {
		if again := mustPush(t, r, target, a, "latest"); !again.New || again.Digest != digestOf(t, a) || tagged(t, target, "latest") != again.Digest {
			t.Errorf("other than %s: %+v", what, again)
		}
	}
	if got := tagged(t, target, "v1"); got != pushed.Digest {
		t.Errorf("a tag that was not named was moved to %s", got)
	}
}

// relayered is an artifact with another layer in its place, the configuration
// as it was.
func relayered(t *testing.T, a *Artifact, compressed []byte) *Artifact {
	t.Helper()
	layers, err := a.image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	diff, err := layers[0].DiffID()
	if err != nil {
		t.Fatal(err)
	}
	l := &layer{compressed: compressed, digest: hashOf(compressed), diff: diff}
	image, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configType), mutate.Addendum{Layer: l})
	if err != nil {
		t.Fatal(err)
	}
	image, isImage := mutate.Annotations(image, someone.annotations()).(v1.Image)
	if !isImage {
		t.Fatal("annotations make no image of it")
	}
	return &Artifact{image: image}
}

// An artifact of another compressor stays, since Flux would take the new digest
// for new content. One whose layer only pretends to be the content does not.
func TestOtherLayers(t *testing.T) {
	noCredentials(t)
	a := packed(t, someFiles, someone)
	archive, err := archived(someFiles)
	if err != nil {
		t.Fatal(err)
	}
	stored := func(content []byte) []byte {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
		if err == nil {
			_, err = w.Write(content)
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, test := range map[string]struct {
		content []byte
		kept    bool
	}{
		"another compressor": {stored(archive), true},
		"other content":      {stored(bytes.Replace(archive, []byte("Role"), []byte("Evil"), 1)), false},
		"more behind it":     {stored(append(bytes.Clone(archive), make([]byte, 1<<20)...)), false},
		"less of it":         {stored(archive[:len(archive)-512]), false},
		"no archive":         {[]byte("x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			r, target := serve(t, inMemory())
			there := mustPush(t, r, target, relayered(t, a, test.content), "latest")
			again := mustPush(t, r, target, a, "latest")
			if kept := !again.New && again.Digest == there.Digest; kept != test.kept {
				t.Errorf("kept: %t; %+v", kept, again)
			}
			if !test.kept && again.Digest != digestOf(t, a) {
				t.Errorf("%s is there", again.Digest)
			}
		})
	}
}

// answer is a registry that answers everything alike.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// writing is a registry that answers writes only, and has nothing to read.
func writing(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		default:
			answer(status, body)(w, r)
		}
	}
}

// What goes wrong is said in words, within bounds of time, and without secrets.
func TestPushSays(t *testing.T) {
	const secret = "hunter2"
	basic := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		login   bool
		want    string
	}{
		"nobody":        {basic, false, "log in with `docker login "},
		"somebody else": {basic, true, "does not take the credentials that docker's configuration has"},
		"forbidden":     {writing(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"no"}]}`), true, "does not let these credentials push to fleet (it says DENIED: no)"},
		"read-only":     {writing(http.StatusMethodNotAllowed, `{"errors":[{"code":"UNSUPPORTED"}]}`), false, "it is read-only (it says UNSUPPORTED)"},
		"no repository": {writing(http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN","message":"x"}]}`), false, "has no repository fleet"},
		"too large":     {writing(http.StatusRequestEntityTooLarge, ``), false, "larger than"},
		"a quota":       {writing(http.StatusConflict, `{"errors":[{"code":"X","message":"full"}]}`), false, "refuses the push to fleet (status 409) (it says X: full)"},
		"secrets":       {writing(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"see https://u:`+secret+`@r.test/x?token=`+secret+`\u001b[31m"}]}`), true, `see https://r.test/x)`},
		"long":          {writing(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"`+strings.Repeat("ä", 5000)+`"}]}`), true, "…)"},
		"a proxy":       {answer(http.StatusForbidden, "<html>"+secret), false, "does not let these credentials push"},
	} {
		t.Run(name, func(t *testing.T) {
			home := noCredentials(t)
			server := httptest.NewServer(test.handler)
			defer server.Close()
			host := server.Listener.Addr().String()
			if test.login {
				config := `{"auths": {"` + host + `": {"username": "u", "password": "` + secret + `"}}}`
				if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r, target := connect(t, host, Options{Timeout: 20 * time.Second})
			_, err := r.Push(t.Context(), target, []string{"latest"}, packed(t, someFiles, someone))
			says(t, err, test.want)
		})
	}
}

func says(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("there is no error")
	case !strings.Contains(err.Error(), want):
		t.Errorf("%v: does not say %q", err, want)
	case strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 500:
		t.Errorf("more than there should be: %q", err)
	}
}

func TestUnreached(t *testing.T) {
	noCredentials(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer stuck.Close()
	for name, test := range map[string]struct {
		host, want string
		options    Options
	}{
		"no such host":       {"registry.invalid", "no host", Options{Timeout: 20 * time.Second}},
		"nobody listens":     {closed.Addr().String(), "connection refused", Options{Timeout: 20 * time.Second}},
		"no answer, in time": {stuck.Listener.Addr().String(), "did not take an artifact within 300ms", Options{Timeout: 300 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			r, target := connect(t, test.host, test.options)
			_, err := r.Push(t.Context(), target, []string{"latest"}, packed(t, someFiles, someone))
			says(t, err, test.want)
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		r, target := connect(t, stuck.Listener.Addr().String(), Options{Timeout: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Push(ctx, target, []string{"latest"}, packed(t, someFiles, someone)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v is no interruption", err)
		}
	})
}

// Errors that a test cannot have from a real connection.
func TestUnreachedWords(t *testing.T) {
	for want, err := range map[string]error{
		"machine does not know":   errors.Join(fmt.Errorf("x: %w", x509.UnknownAuthorityError{}), errPlainHTTP),
		"for another host":        fmt.Errorf("x: %w", x509.HostnameError{Certificate: &x509.Certificate{}}),
		"speaks plain HTTP":       &url.Error{Op: "Get", URL: "https://r.test/?token=hunter2", Err: http.ErrSchemeMismatch},
		"--insecure allows it":    fmt.Errorf("ping: %w", errPlainHTTP),
		"r.test: is x odd":        errors.New("is x?token=hunter2 odd"),
		"is not valid":            fmt.Errorf("x: %w", &tls.CertificateVerificationError{Err: errors.New("x")}),
		"does not answer in time": &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
	} {
		says(t, describe(err, "r.test", "fleet", false, time.Minute), want)
	}
}

// Plain HTTP goes to this machine only, unless it is allowed: the library by
// itself would try it for private addresses.
func TestGuard(t *testing.T) {
	passed := errors.New("passed")
	next := tripper(func(*http.Request) (*http.Response, error) { return nil, passed })
	for _, test := range []struct {
		url    string
		plain  bool
		passes bool
	}{
		{"https://registry.example.com/v2/", false, true},
		{"http://registry.example.com/v2/", false, false},
		{"http://10.0.0.1:5000/v2/", false, false},
		{"http://registry.local/v2/", false, false},
		{"http://localhost.example.com/v2/", false, false},
		{"http://localhost:5000/v2/", false, true},
		{"http://127.0.0.7:5000/v2/", false, true},
		{"http://[::1]:5000/v2/", false, true},
		{"http://10.0.0.1:5000/v2/", true, true},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Transport: guard{next: next, plain: test.plain}}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		if errors.Is(err, passed) != test.passes || errors.Is(err, errPlainHTTP) == test.passes {
			t.Errorf("%s, plain %t: %v", test.url, test.plain, err)
		}
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A credential helper is asked once; what it prints when it fails is not shown,
// and it is not waited for for ever.
func TestCredentialHelper(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	for name, test := range map[string]struct {
		script, want string
		timeout      time.Duration
	}{
		"gives":  {`echo x >> "$HOME/asked"; printf '{"Username": "u", "Secret": "hunter2"}'`, "", 20 * time.Second},
		"fails":  {`echo hunter2; exit 1`, "docker login", 20 * time.Second},
		"sleeps": {`exec sleep 20 2>/dev/null`, "within 300ms", 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			home := noCredentials(t)
			t.Setenv("PATH", home+string(os.PathListSeparator)+os.Getenv("PATH"))
			files := map[string]string{"config.json": `{"credsStore": "test"}`, "docker-credential-test": "#!/bin/sh\n" + test.script + "\n"}
			for file, content := range files {
				if err := os.WriteFile(filepath.Join(home, file), []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			web := inMemory()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if user, password, _ := r.BasicAuth(); user != "u" || password != "hunter2" {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				web.ServeHTTP(w, r)
			}))
			defer server.Close()
			target, err := ParseTarget("oci://" + server.Listener.Addr().String() + "/fleet")
			if err != nil {
				t.Fatal(err)
			}
			r, err := Connect(t.Context(), target, Options{Timeout: test.timeout})
			if test.want != "" {
				says(t, err, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"a", "b"} {
				below, err := target.Below(part)
				if err != nil {
					t.Fatal(err)
				}
				mustPush(t, r, below, packed(t, someFiles, someone), "latest")
			}
			if asked, err := os.ReadFile(filepath.Join(home, "asked")); err != nil || len(asked) != 2 {
				t.Errorf("asked %d times, %v", len(asked)/2, err)
			}
		})
	}
}

// With --insecure the registry is talked to in plain HTTP by its name.
func TestInsecureName(t *testing.T) {
	r := &Registry{options: Options{Insecure: true}}
	target, err := ParseTarget("oci://registry.example.com/fleet")
	if err != nil {
		t.Fatal(err)
	}
	if scheme := r.tag(target, "x").Scheme(); scheme != "http" {
		t.Errorf("scheme %s", scheme)
	}
}
