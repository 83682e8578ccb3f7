package scaffold

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// gitTime is how long git is waited for. It only looks at files.
const gitTime = 5 * time.Second

// Repository is what the git repository around a folder says. The zero value
// is none.
type Repository struct {
	URL    string // of origin, as https and without credentials
	Branch string // that Flux is to follow
	Prefix string // of the folder inside the repository, with slashes; "" for its root
	host   string
	owner  string // the first part of the URL's path
}

// Git looks at the repository that dir is, or will be, in.
func Git(ctx context.Context, dir string) Repository {
	dir, missing := existing(dir)
	r := Repository{Branch: branch(ctx, dir)}
	if top := git(ctx, dir, "rev-parse", "--show-toplevel"); top != "" {
		r.Prefix = prefix(top, dir, missing)
	}
	if u, ok := parseRemote(git(ctx, dir, "remote", "get-url", "origin")); ok {
		r.URL, r.host = u.String(), u.Hostname()
		if first, _, inside := strings.Cut(strings.Trim(u.Path, "/"), "/"); inside && CheckOwner("@"+first) == nil {
			r.owner = first
		}
	}
	return r
}

// existing parts a path into the nearest folder that is there, and the rest.
func existing(dir string) (there, missing string) {
	there, err := filepath.Abs(dir)
	if err != nil {
		return dir, ""
	}
	for {
		if info, err := os.Stat(there); err == nil && info.IsDir() || there == filepath.Dir(there) {
			return there, missing
		}
		missing = filepath.Join(filepath.Base(there), missing)
		there = filepath.Dir(there)
	}
}

// git is the first line that git prints, or "" where it has nothing to say.
func git(ctx context.Context, dir string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimRight(line, "\r")
}

// plainBranch are the names that mean the same in a workflow's filter, where
// there are patterns.
var plainBranch = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

// branch is origin's own, or else the one that is checked out.
func branch(ctx context.Context, dir string) string {
	remote, isThere := strings.CutPrefix(git(ctx, dir, "symbolic-ref", "--short", "refs/remotes/origin/HEAD"), "origin/")
	if !isThere {
		remote = git(ctx, dir, "symbolic-ref", "--short", "HEAD")
	}
	if !plainBranch.MatchString(remote) {
		return defaultBranch
	}
	return remote
}

// prefix is where a folder is in the repository. git names the top without
// symbolic links.
func prefix(top, dir, missing string) string {
	top, errTop := filepath.EvalSymlinks(top)
	dir, errDir := filepath.EvalSymlinks(dir)
	inside, err := filepath.Rel(top, filepath.Join(dir, missing))
	if errTop != nil || errDir != nil || err != nil || inside == "." {
		return ""
	}
	return filepath.ToSlash(inside)
}

// scpLike is git's short form of an ssh URL, such as git@github.com:acme/x.git.
var scpLike = regexp.MustCompile(`^(?:[^@/:]+@)?([A-Za-z0-9.-]+):([^/\\:].*)$`)

// parseRemote is a remote as an https URL, without anything in it that could be
// a credential. A remote on this machine is none.
func parseRemote(remote string) (*url.URL, bool) {
	if m := scpLike.FindStringSubmatch(remote); m != nil && !strings.Contains(remote, "://") {
		remote = "ssh://" + m[1] + "/" + m[2]
	}
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		return nil, false
	}
	plain := &url.URL{Scheme: "https", Host: u.Host, Path: u.Path}
	switch u.Scheme {
	case "https":
	case "http":
		plain.Scheme = "http"
	case "ssh", "git+ssh", "git":
		plain.Host = u.Hostname() // another protocol's port says nothing
	default:
		return nil, false
	}
	return plain, CheckURL(plain.String()) == nil
}

// CI is the forge's own, by its name; most are GitHub.
func (r Repository) CI() CI {
	if strings.Contains(r.host, "gitlab") {
		return GitLab
	}
	return GitHub
}

// guessOwner is the platform team as it is often called.
func (r Repository) guessOwner() string {
	if r.owner == "" {
		return defaultOwner
	}
	return "@" + r.owner + "/platform-team"
}
