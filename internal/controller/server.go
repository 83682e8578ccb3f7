package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Handler serves artifacts: exactly those files, by exactly their names. There
// is no list, and no file that is not an artifact.
func (s *Storage) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "an artifact is only read", http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path != "/"+name || !storedName.MatchString(name) {
			http.NotFound(w, r)
			return
		}
		f, err := s.root.Open(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/gzip")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", info.ModTime(), f)
		artifactBytesServed.Add(float64(info.Size()))
	})
}

// FileServer serves a storage while its context lives. It is a Runnable for the
// manager: only the leader has artifacts, so only the leader serves them.
type FileServer struct {
	Storage *Storage
	Address string // host:port to listen on
}

// NeedLeaderElection tells the manager to wait.
func (*FileServer) NeedLeaderElection() bool { return true }

// Start serves until ctx ends.
func (f *FileServer) Start(ctx context.Context) error {
	server := &http.Server{
		Handler:           f.Storage.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.Address)
	if err != nil {
		return fmt.Errorf("serving artifacts: %w", err)
	}
	stopped := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving artifacts: %w", err)
	}
	return nil
}
