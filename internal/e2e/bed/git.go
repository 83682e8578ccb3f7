package bed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi" //nolint:gosec // the hole is closed since Go 1.6.3
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Git serves repositories by git's own HTTP backend.
type Git struct {
	// URL is that of the server; a repository's is <URL>/<name>.git.
	URL string

	folder string
	git    string
	server *http.Server
}

func newGit(folder string) (*Git, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("the test bed needs git, and there is none in PATH")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	listener, err := listen()
	if err != nil {
		return nil, err
	}
	g := &Git{URL: "http://" + listener.Addr().String(), folder: folder, git: git}
	g.server = serve(listener, &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Dir: folder,
		Env: append(g.environment(), "GIT_PROJECT_ROOT="+folder, "GIT_HTTP_EXPORT_ALL=1"),
	})
	return g, nil
}

func (g *Git) close() { _ = g.server.Close() }

// environment keeps the user's configuration of git out.
func (g *Git) environment() []string {
	return []string{"HOME=" + g.folder, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
}

// TryCommit makes a folder's content the next commit of a repository's branch main, and makes the repository if need be.
// It returns the commit.
func (g *Git) TryCommit(ctx context.Context, name, content, message string) (commit string, err error) {
	repository := filepath.Join(g.folder, name+".git")
	if _, err := os.Stat(repository); err != nil {
		if _, err := g.run(ctx, g.folder, "init", "-q", "--bare", "--initial-branch=main", repository); err != nil {
			return "", err
		}
	}
	// The folder is the work tree of the bare repository: no clone, no push.
	at := []string{
		"--git-dir=" + repository, "--work-tree=" + content, "-c", "core.bare=false",
		"-c", "user.name=e2e", "-c", "user.email=e2e@localhost",
	}
	for _, step := range [][]string{{"add", "-A", "."}, {"commit", "-q", "--allow-empty", "-m", message}} {
		if _, err := g.run(ctx, content, append(at, step...)...); err != nil {
			return "", err
		}
	}
	commit, err = g.run(ctx, content, append(at, "rev-parse", "HEAD")...)
	return strings.TrimSpace(commit), err
}

func (g *Git) run(ctx context.Context, folder string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, g.git, arguments...)
	command.Dir = folder
	command.Env = append(g.environment(), "PATH="+os.Getenv("PATH"))
	out, err := command.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("running git: %w", err)
	}
	return string(out), nil
}
