package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/acme/x.git":                    "https://github.com/acme/x.git",
		"git@github.com:acme/x.git":                        "https://github.com/acme/x.git",
		"github.com:acme/x":                                "https://github.com/acme/x",
		"ssh://git@git.acme.dev:7999/plat/x.git":           "https://git.acme.dev/plat/x.git",
		"http://git.lan:3000/x":                            "http://git.lan:3000/x",
		"https://joe:secret@gitlab.acme.dev/a/b/x.git":     "https://gitlab.acme.dev/a/b/x.git",
		"https://secret@github.com/acme/x":                 "https://github.com/acme/x",
		"https://github.com/acme/x?private_token=secret#s": "https://github.com/acme/x",
		"/srv/git/x.git":                                   "",
		"../x.git":                                         "",
		"file:///srv/x.git":                                "",
		`C:\git\x`:                                         "",
		"ext::sh -c evil":                                  "",
		"https://h/a b":                                    "https://h/a%20b",
		"":                                                 "",
	} {
		got := ""
		if u, ok := parseRemote(remote); ok {
			got = u.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", remote, got, want)
		}
	}
}

// gitRun runs git without anybody's configuration.
func gitRun(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func gitRepository(t *testing.T, remote, branch string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	dir := t.TempDir()
	gitRun(t, dir, "init", "-q")
	gitRun(t, dir, "symbolic-ref", "HEAD", "refs/heads/"+branch)
	if remote != "" {
		gitRun(t, dir, "remote", "add", "origin", remote)
	}
	return dir
}

func TestGit(t *testing.T) {
	dir := gitRepository(t, "https://joe:secret@gitlab.acme.dev/plat/sub/x.git", "trunk")
	got := Git(t.Context(), filepath.Join(dir, "clusters", "eu")) // not there yet
	want := Repository{URL: "https://gitlab.acme.dev/plat/sub/x.git", Branch: "trunk", Prefix: "clusters/eu", host: "gitlab.acme.dev", owner: "plat"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.CI() != GitLab || got.guessOwner() != "@plat/platform-team" {
		t.Errorf("got %s and %s", got.CI(), got.guessOwner())
	}
	if got := Git(t.Context(), dir); got.Prefix != "" {
		t.Errorf("the root is at %q", got.Prefix)
	}
	if got := Git(t.Context(), t.TempDir()); got != (Repository{Branch: "main"}) || got.CI() != GitHub {
		t.Errorf("outside of git, got %+v", got)
	}
}

// Flux follows what others merge into, not what is checked out at the moment.
func TestGitBranch(t *testing.T) {
	upstream := gitRepository(t, "", "trunk")
	gitRun(t, upstream, "commit", "-q", "--allow-empty", "-m", "x")
	clone := filepath.Join(t.TempDir(), "clone")
	gitRun(t, upstream, "clone", "-q", upstream, clone)
	gitRun(t, clone, "checkout", "-q", "-b", "fences")
	if got := Git(t.Context(), clone); got.Branch != "trunk" || got.URL != "" {
		t.Errorf("got %+v", got)
	}
	// A name that would be a pattern in a workflow.
	odd := gitRepository(t, "", "a+b")
	if got := Git(t.Context(), odd); got.Branch != defaultBranch {
		t.Errorf("got %q", got.Branch)
	}
}
