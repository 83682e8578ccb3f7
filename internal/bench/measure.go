package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// childTimeout turns a hang into an error; the slowest tool needs seconds.
const childTimeout = 10 * time.Minute

// subject is one thing measured: a tool on a workload.
type subject struct {
	binary
	label   string
	tenants int
	dir     string
	args    []string
	stdin   string                          // file, or none
	yields  string                          // in its output, where that is no stream of objects to count
	count   func(io.Reader) (counts, error) // what its output holds, where that is something else than objects
	runs    int
	samples []sample
	objects counts
}

// sample is what one run cost.
type sample struct {
	cpu  time.Duration // user and system
	wall time.Duration
	rss  int64 // bytes; 0 where the system does not tell
}

// report is all that was measured; a part left out by the options is nil.
type report struct {
	tools []*subject // on the same workload
	large *subject
	proof *subject // of the large workload
	exec  *subject
	audit *subject // on a log
	jq    *subject // on the same
	logMB int
}

func measureAll(ctx context.Context, opts options, progress io.Writer) (report, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return report{}, err
	}
	scratch, err := os.MkdirTemp("", "eso-tenant-bench-")
	if err != nil {
		return report{}, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(scratch)

	fmt.Fprintln(progress, "bench: building (the other tools take minutes when nothing is cached)")
	binaries, err := buildAll(ctx, selectTools(opts.only), root, scratch)
	if err != nil {
		return report{}, err
	}
	result, err := prepare(binaries, opts, scratch)
	if err != nil {
		return report{}, err
	}
	if opts.log > 0 && result.tool(ours) != nil {
		result.logMB = opts.log
		if result.audit, result.jq, err = prepareAudit(ctx, result.tool(ours).binary, opts, root, scratch); err != nil {
			return report{}, err
		}
	}
	if err := result.measure(ctx, scratch, progress); err != nil {
		return report{}, err
	}
	return result, result.disagreement()
}

func selectTools(only []string) []tool {
	return slices.DeleteFunc(tools(), func(t tool) bool {
		return len(only) > 0 && !slices.Contains(only, t.name)
	})
}

// prepare writes every workload before the first measurement.
func prepare(binaries []binary, opts options, scratch string) (report, error) {
	var result report
	for _, b := range binaries {
		s, err := newSubject(b, opts.tenants, opts.runs, scratch)
		if err != nil {
			return report{}, err
		}
		result.tools = append(result.tools, s)
		if b.name != ours {
			continue
		}
		if opts.large > 0 {
			if result.large, err = newSubject(b, opts.large, opts.runs, scratch); err != nil {
				return report{}, err
			}
			result.proof = result.large.proven()
		}
		if opts.exec > 0 {
			if result.exec, err = newExecSubject(b, opts.exec, scratch); err != nil {
				return report{}, err
			}
		}
	}
	return result, nil
}

func newSubject(b binary, tenants, runs int, scratch string) (*subject, error) {
	dir := filepath.Join(scratch, fmt.Sprintf("%s-%d", b.name, tenants))
	if err := writeWorkload(b.name, dir, tenantNames(tenants)); err != nil {
		return nil, err
	}
	return &subject{binary: b, label: b.command, tenants: tenants, dir: dir, args: b.args, runs: runs}, nil
}

// proven is a workload that is proven instead of rendered.
func (s *subject) proven() *subject {
	return &subject{binary: s.binary, label: "eso-tenant verify", tenants: s.tenants, dir: s.dir, args: []string{"verify", "."}, yields: "mint   proven", runs: s.runs}
}

func newExecSubject(b binary, runs int, scratch string) (*subject, error) {
	data, err := peers.ReadFile("peers/" + b.name + "/" + resourceList)
	if err != nil {
		return nil, fmt.Errorf("reading the function's input: %w", err)
	}
	file := filepath.Join(scratch, resourceList)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("writing the function's input: %w", err)
	}
	return &subject{binary: b, label: "exec function", tenants: 1, dir: scratch, stdin: file, yields: "SecretStore", runs: runs}, nil
}

// all are the subjects of the report, in the order of a round.
func (r report) all() []*subject {
	subjects := slices.Clone(r.tools)
	for _, s := range []*subject{r.large, r.proof, r.exec, r.audit, r.jq} {
		if s != nil {
			subjects = append(subjects, s)
		}
	}
	return subjects
}

func (r report) measure(ctx context.Context, scratch string, progress io.Writer) error {
	for round := 0; ; round++ {
		var ran bool
		for _, s := range r.all() {
			if round >= s.runs {
				continue
			}
			ran = true
			if err := s.sampleOnce(ctx, scratch); err != nil {
				return err
			}
			if s.stdin == "" {
				last := s.samples[len(s.samples)-1]
				fmt.Fprintf(progress, "bench: run %d of %d: %s, %s tenants: %s CPU\n",
					round+1, s.runs, s.label, s.tenantCount(), last.cpu.Round(time.Millisecond))
			}
		}
		if !ran {
			return nil
		}
	}
}

// sampleOnce runs the subject once. Output goes to a file, so that no reader slows the child down, and is counted
// after the clock has stopped.
func (s *subject) sampleOnce(ctx context.Context, scratch string) error {
	out, err := os.Create(filepath.Join(scratch, "stdout"))
	if err != nil {
		return fmt.Errorf("creating the output file: %w", err)
	}
	defer out.Close()
	taken, err := s.spawn(ctx, out, scratch)
	if err != nil {
		return err
	}
	s.samples = append(s.samples, taken)
	if len(s.samples) > 1 {
		return nil
	}
	return s.readObjects(out)
}

func (s *subject) spawn(ctx context.Context, stdout *os.File, home string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, s.path, s.args...)
	cmd.Dir = s.dir
	// Nothing of the caller's environment: GOGC, GOMEMLIMIT or a Helm plugin would change what is measured.
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home}
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if s.stdin != "" {
		input, err := os.Open(s.stdin)
		if err != nil {
			return sample{}, fmt.Errorf("opening the function's input: %w", err)
		}
		defer input.Close()
		cmd.Stdin = input
	}
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("running %s: %w\n%s", s.label, err, capped(stderr.Bytes()))
	}
	state := cmd.ProcessState
	return sample{cpu: state.UserTime() + state.SystemTime(), wall: wall, rss: peakRSS(state)}, nil
}

func capped(text []byte) []byte {
	const most = 4096
	return text[:min(len(text), most)]
}

func (s *subject) readObjects(out io.ReadSeeker) error {
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the output again: %w", err)
	}
	if s.yields != "" {
		return s.readText(out)
	}
	count := s.count
	if count == nil {
		count = countObjects
	}
	var err error
	s.objects, err = count(out)
	return err
}

// readText makes sure that what is not counted did its work: an exec function's objects stand in one document, a proof
// makes none.
func (s *subject) readText(out io.Reader) error {
	text, err := io.ReadAll(out)
	if err != nil {
		return fmt.Errorf("reading the output of %s: %w", s.label, err)
	}
	if !bytes.Contains(text, []byte(s.yields)) {
		return fmt.Errorf("%s yields no %q:\n%s", s.label, s.yields, capped(text))
	}
	return nil
}

// disagreement is an error unless all tools made the same number of objects of each kind, ten a tenant.
func (r report) disagreement() error {
	var errs []error
	for _, s := range r.all() {
		if s.yields == "" && s.count == nil && s.objects.total() != objectsPerTenant*s.tenants {
			errs = append(errs, fmt.Errorf("%s made %d objects for %d tenants: %s", s.label, s.objects.total(), s.tenants, s.objects))
		}
	}
	for _, s := range r.tools {
		if first := r.tools[0]; !maps.Equal(first.objects, s.objects) {
			errs = append(errs, fmt.Errorf("%s made %s, but %s made %s", first.label, first.objects, s.label, s.objects))
		}
	}
	if r.audit != nil && (r.audit.objects.total() == 0 || !maps.Equal(r.audit.objects, r.jq.objects)) {
		errs = append(errs, fmt.Errorf("%s found %s, but %s found %s", r.audit.label, r.audit.objects, r.jq.label, r.jq.objects))
	}
	return errors.Join(errs...)
}
