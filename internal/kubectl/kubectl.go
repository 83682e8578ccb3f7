// Package kubectl asks a cluster by the user's own kubectl, so that every
// kubeconfig and every login works, and no client library is linked. It runs no
// shell, and only reads.
package kubectl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Client asks one cluster.
type Client struct {
	Context string // of the kubeconfig; "" is the current one
	// Patience is how long one question may take; 0 is long enough for a large
	// cluster's whole answer.
	Patience time.Duration
}

// ErrMissing says that there is no kubectl on the PATH.
var ErrMissing = exec.ErrNotFound

// patience is how long one question may take by default.
const patience = 5 * time.Minute

// Stream runs kubectl and returns what it prints, as it prints it. Close waits
// for it, and returns an error where it failed: what was read up to then is not
// all of it.
func (c Client) Stream(ctx context.Context, args ...string) (io.ReadCloser, error) {
	if c.Context != "" {
		args = append(args, "--context="+c.Context)
	}
	limit := cmp.Or(c.Patience, patience)
	ctx, cancel := context.WithTimeout(ctx, limit)
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.WaitDelay = time.Second
	s := &stream{cmd: cmd, cancel: cancel, ctx: ctx, limit: limit}
	cmd.Stderr = &s.complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("running kubectl: %w", err)
	}
	s.out = out
	return s, nil
}

// stream is what a running kubectl prints.
type stream struct {
	cmd       *exec.Cmd
	ctx       context.Context //nolint:containedctx // the command's own, for what Close says
	cancel    context.CancelFunc
	limit     time.Duration
	out       io.ReadCloser
	complaint tail
}

func (s *stream) Read(p []byte) (int, error) { return s.out.Read(p) }

// Close ends kubectl, if it is not done.
func (s *stream) Close() error {
	_, _ = io.Copy(io.Discard, io.LimitReader(s.out, 1<<20)) // it may be about to say why
	err := s.cmd.Wait()
	defer s.cancel()
	switch {
	case errors.Is(s.ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("kubectl was not done after %s", s.limit)
	case s.ctx.Err() != nil:
		return fmt.Errorf("running kubectl: %w", s.ctx.Err())
	case err != nil:
		return fmt.Errorf("kubectl says: %s", s.complaint.lastLine(err))
	default:
		return nil
	}
}

// Output runs kubectl and returns what it prints, up to limit bytes.
func (c Client) Output(ctx context.Context, limit int64, args ...string) ([]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := c.Stream(ctx, args...)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(s, limit+1))
	if int64(len(out)) > limit {
		stop()
		_ = s.Close() // it was stopped
		return nil, fmt.Errorf("kubectl printed more than %d MiB", limit>>20)
	}
	return out, cmp.Or(s.Close(), err)
}

// maxNames bounds the list of kinds that a cluster serves, in bytes.
const maxNames = 4 << 20

// Serves lists those of the resources, such as roles.rbac.authorization.k8s.io,
// that the cluster serves: asking for another one is an error of kubectl's. With
// *.constraints.gatekeeper.sh, it lists all of a group.
func (c Client) Serves(ctx context.Context, resources []string) ([]string, error) {
	out, err := c.Output(ctx, maxNames, "api-resources", "--verbs=list", "--output=name")
	if err != nil {
		return nil, err
	}
	served := strings.Fields(string(out))
	var all []string
	for _, r := range resources {
		group, whole := strings.CutPrefix(r, "*")
		for _, name := range served {
			if name == r || whole && strings.HasSuffix(name, group) {
				all = append(all, name)
			}
		}
	}
	return all, nil
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	_, _ = t.Buffer.Write(p) // it takes everything
	if over := t.Len() - maxTail; over > 0 {
		t.Next(over)
	}
	return len(p), nil
}

// ReadFrom keeps io.Copy from the buffer's own, which has no bound.
func (t *tail) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{t}, r) }

// lastLine is what a program said before it ended: warnings come first.
func (t *tail) lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(t.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return problem.Clean(strings.ToValidUTF8(last[:min(len(last), 200)], ""))
	}
	return err.Error()
}
