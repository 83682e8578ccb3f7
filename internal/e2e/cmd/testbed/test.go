package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// event is a line of `go test -json`.
type event struct {
	Action, Package, Test, Output string
}

// tally is what a run comes to.
type tally struct {
	passed, failed int
	skipped        []string
	open           []string // what tests say is open still
}

// test builds all that is needed, runs the tests, and sums up. A test that is skipped proves nothing, so it is named, and
// in CI it fails the run.
func test(ctx context.Context, out, log io.Writer, arguments []string) error {
	if err := buildAll(ctx, log, build.All()); err != nil {
		return err
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	all := append([]string{"test", "-json", "-count=1", "-timeout=25m", "-parallel=8", "./..."}, arguments...)
	command := exec.Command("go", all...) //nolint:gosec,noctx // the arguments are the caller's; it ends at our signal, in order
	command.Dir = filepath.Join(root, "internal", "e2e")
	command.Stderr = log
	events, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := supervise.StartChild(command); err != nil {
		return fmt.Errorf("running go test: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGINT)
		case <-ended:
		}
	}()
	result, readError := follow(events, out)
	err = command.Wait()
	close(ended)
	return errors.Join(readError, sum(out, result, os.Getenv("CI") == "true"), err)
}

// follow shows a run's output as it comes, of passed tests only their names, and counts.
func follow(in io.Reader, out io.Writer) (tally, error) {
	var result tally
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintf(out, "%s\n", lines.Bytes())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
		case "pass", "fail", "skip":
			result.add(e, out, output[key])
			delete(output, key)
		}
	}
	return result, lines.Err()
}

// stillOpen is how a test says that a way round the fence is open and known.
const stillOpen = "still open: "

// add takes the end of a test, or of a package, whose Test is empty.
func (r *tally) add(e event, out io.Writer, output *strings.Builder) {
	if e.Test == "" {
		if e.Action == "fail" && output != nil {
			fmt.Fprint(out, output.String())
		}
		return
	}
	fmt.Fprintf(out, "%-4s %s\n", e.Action, e.Test)
	if output != nil {
		for line := range strings.Lines(output.String()) {
			if _, what, found := strings.Cut(line, stillOpen); found {
				r.open = append(r.open, strings.TrimSpace(what))
			}
		}
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
	case "skip":
		r.skipped = append(r.skipped, e.Test)
	}
	if e.Action != "pass" && output != nil {
		fmt.Fprint(out, output.String())
	}
}

func sum(out io.Writer, result tally, inCI bool) error {
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", result.passed, result.failed, len(result.skipped))
	for _, what := range result.open {
		fmt.Fprintln(out, stillOpen+what)
	}
	for _, name := range result.skipped {
		fmt.Fprintln(out, "skipped:", name)
	}
	switch {
	case result.passed+result.failed == 0:
		return errors.New("no test has run")
	case result.failed > 0:
		return fmt.Errorf("%d tests failed", result.failed)
	case inCI && len(result.skipped) > 0:
		return fmt.Errorf("%d tests were skipped, and in CI all have to run", len(result.skipped))
	}
	return nil
}
