package controller

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/opencontainers/go-digest"
)

func TestFetch(t *testing.T) {
	archive := archiveOf(t, map[string]string{"a.yaml": "a"})
	large := append(bytes.Clone(archive), make([]byte, 2<<20)...)
	right := digest.FromBytes(archive).String()
	forever := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0}); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}
	tests := map[string]struct {
		serve   http.HandlerFunc
		digest  string
		want    string // of the error
		refused bool   // it is of no use to try again
	}{
		"right":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, right, "", false},
		"sha512":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, digest.SHA512.FromBytes(archive).String(), "", false},
		"blake3":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, digest.BLAKE3.FromBytes(archive).String(), "", false},
		"no digest":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, "", "no digest", true},
		"md5":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, "md5:d41d8cd98f00b204e9800998ecf8427e", "no digest", true},
		"another":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }, digest.FromString("x").String(), "its digest is another", false},
		"not there":  {http.NotFound, right, "answers 404", false},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, right, "answers 302", false},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(archive)
		}, right, "unexpected EOF", false},
		"large":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) }, digest.FromBytes(large).String(), "more than 1 MiB", true},
		"without end":   {forever, right, "context deadline exceeded", false},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, right, "context deadline exceeded", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.serve)
			defer server.Close()
			f := NewFetcher(small, "", 200*time.Millisecond)
			files, err := f.Fetch(context.Background(), &meta.Artifact{URL: server.URL + "/x.tar.gz?token=hunter2", Digest: test.digest})
			if test.want == "" {
				if err != nil || len(files) != 1 {
					t.Errorf("%v, %v", files, err)
				}
				return
			}
			if refused := (*ArtifactError)(nil); err == nil || !strings.Contains(err.Error(), test.want) || errors.As(err, &refused) != test.refused {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a token is told: %v", err)
			}
		})
	}
}

func TestFetchAddress(t *testing.T) {
	archive := archiveOf(t, map[string]string{"a.yaml": "a"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	defer server.Close()
	for _, address := range []string{"", "file:///etc/passwd", "http://", "gopher://x/", "://", "/x"} {
		f := NewFetcher(small, "", time.Second)
		if _, err := f.Fetch(context.Background(), &meta.Artifact{URL: address, Digest: digest.FromBytes(archive).String()}); err == nil || !strings.Contains(err.Error(), "no http address") {
			t.Errorf("%q: %v", address, err)
		}
	}
	f := NewFetcher(small, strings.TrimPrefix(server.URL, "http://"), time.Second)
	if _, err := f.Fetch(context.Background(), &meta.Artifact{URL: "http://source-controller.flux-system.svc.cluster.local./x", Digest: digest.FromBytes(archive).String()}); err != nil {
		t.Errorf("with another host: %v", err)
	}
}
