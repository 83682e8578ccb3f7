package main

import (
	"bytes"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Within a bubble of synctest, time passes only while all goroutines wait.
func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name string
		work time.Duration
		want string
	}{
		{"short work is quiet", progressAfter - 1, ""},
		{"long work counts, and its line is cleared", 2*progressAfter + 1, "\r\x1b[Kreading… 1s\r\x1b[Kreading… 2s\r\x1b[K"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := &progress{done: make(chan struct{}), stopped: make(chan struct{})}
				go p.show(streams{err: &out}, "reading")
				time.Sleep(tt.work)
				p.stop()
				if got := out.String(); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// What goes to a file, or into another program, has no progress in it.
func TestProgressOnTerminalsOnly(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	for _, s := range []streams{{err: writer}, {err: &bytes.Buffer{}}} {
		p := s.progress("reading")
		if p != nil {
			t.Errorf("there is progress on %T", s.err)
		}
		p.stop()
	}
}
