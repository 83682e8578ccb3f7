package main

import (
	"fmt"
	"os"
	"time"
)

// progress says on a terminal what is being done, if it takes long.
type progress struct {
	done    chan struct{}
	stopped chan struct{}
}

// progressAfter is how long work is quiet.
const progressAfter = time.Second

// progress starts saying what is done, on a terminal that can clear a line only. The caller stops it
// before anything else is written to standard error.
func (s streams) progress(what string) *progress {
	if !isTerminal(s.err) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	p := &progress{done: make(chan struct{}), stopped: make(chan struct{})}
	go p.show(s, what)
	return p
}

func (p *progress) show(s streams, what string) {
	defer close(p.stopped)
	start := time.Now()
	ticker := time.NewTicker(progressAfter)
	defer ticker.Stop()
	for shown := false; ; shown = true {
		select {
		case <-ticker.C:
			fmt.Fprintf(s.err, "\r\x1b[K%s… %ds", what, int(time.Since(start).Seconds()))
		case <-p.done:
			if shown {
				fmt.Fprint(s.err, "\r\x1b[K")
			}
			return
		}
	}
}

// stop ends the display and clears its line. It may be called on nil.
func (p *progress) stop() {
	if p == nil {
		return
	}
	close(p.done)
	<-p.stopped
}
