package main

import (
	"bytes"
	"strings"
	"testing"
)

const (
	passed  = `{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	skipped = `{"Action":"output","Package":"p","Test":"TestB","Output":"no reason\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestB"}` + "\n"
	open    = `{"Action":"output","Package":"p","Test":"TestD","Output":"    x_test.go:1: still open: E3: reads\n"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestD"}` + "\n"
	failed  = `{"Action":"output","Package":"p","Test":"TestC","Output":"got 1\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestC"}` + "\n"
)

// A run that proves less than it should does not look as if it had proved all.
func TestSum(t *testing.T) {
	for name, c := range map[string]struct {
		events, want, failure string
		inCI                  bool
	}{
		"all passed":         {events: passed, want: "1 passed, 0 failed, 0 skipped", inCI: true},
		"skipped":            {events: passed + skipped, want: "skipped: TestB"},
		"skipped in CI":      {events: passed + skipped, want: "skipped: TestB", inCI: true, failure: "1 tests were skipped"},
		"why it was skipped": {events: passed + skipped, want: "no reason"},
		"failed":             {events: passed + failed, want: "got 1", failure: "1 tests failed"},
		"known and open":     {events: open + passed, want: "0 skipped\nstill open: E3: reads\n", inCI: true},
		"nothing ran":        {events: "", want: "0 passed", failure: "no test has run"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			result, err := follow(strings.NewReader(c.events), &out)
			if err != nil {
				t.Fatal(err)
			}
			err = sum(&out, result, c.inCI)
			if (err != nil) != (c.failure != "") || err != nil && !strings.Contains(err.Error(), c.failure) {
				t.Errorf("got %v, want %q", err, c.failure)
			}
			if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "quiet") {
				t.Errorf("the run says:\n%s", out.String())
			}
		})
	}
}
