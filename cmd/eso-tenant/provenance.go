package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/oci"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/scaffold"
)

// provenance is where the specifications that the paths name are from, by what
// was stated and else by git: as `flux push artifact` wants it,
// branch@sha1:HASH, with -dirty behind it if a file differs from the commit's.
func provenance(ctx context.Context, paths []string, source, revision string) (oci.Provenance, error) {
	from := oci.Provenance{Source: source, Revision: revision}
	if source != "" && revision != "" {
		return from, nil
	}
	dir, err := specificationFolder(paths)
	if err != nil {
		return from, err
	}
	r := repository{ctx, dir}
	if from.Source == "" {
		if from.Source = scaffold.Git(ctx, dir).URL; from.Source == "" {
			return from, errors.New("git knows no URL of an origin for these specifications; say it with --source")
		}
	}
	if from.Revision == "" {
		from.Revision, from.Created, err = r.commit()
	}
	return from, err
}

// specificationFolder is the folder that the specifications are in. Those of standard
// input are in none, whatever the current one has.
func specificationFolder(paths []string) (string, error) {
	if len(paths) == 0 {
		return ".", nil
	}
	first := paths[0]
	if first == "-" {
		return "", errors.New("standard input is of no commit; say where it is from with --source and --revision")
	}
	if info, err := os.Stat(first); err == nil && !info.IsDir() {
		return filepath.Dir(first), nil
	}
	return first, nil
}

// repository is a folder in one of git's.
type repository struct {
	ctx context.Context // of the one call of provenance that this lives for
	dir string
}

// git asks git. A folder that only looks like a repository is none, or a tenant
// could let it run programs.
func (r repository) git(args ...string) (string, error) {
	out, err := git(r.ctx, nil, maxTreeList, append([]string{"-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "-C", r.dir}, args...)...)
	return strings.TrimSpace(string(out)), err
}

// commit is what is checked out, and when it was made.
func (r repository) commit() (string, time.Time, error) {
	id, err := r.git("rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}")
	if errors.Is(err, errNoGit) {
		return "", time.Time{}, err
	}
	if err != nil || !objectID.MatchString(id) {
		return "", time.Time{}, fmt.Errorf("%s is in no commit of git's; say where it is from with --source and --revision", problem.Quote(r.dir))
	}
	seconds, err := r.git("show", "--no-patch", "--no-show-signature", "--format=%ct", id)
	if err != nil {
		return "", time.Time{}, err
	}
	created, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("reading the commit's time: %w", err)
	}
	revision := "sha1:" + id
	if len(id) == 64 {
		revision = "sha256:" + id
	}
	if name := r.name(); name != "" {
		revision = name + "@" + revision
	}
	dirty, err := r.dirty()
	if dirty {
		revision += "-dirty"
	}
	return revision, time.Unix(created, 0), err
}

// name is the branch that is checked out, or else the tag.
func (r repository) name() string {
	if branch, err := r.git("symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		return branch
	}
	tag, err := r.git("describe", "--tags", "--exact-match", "HEAD")
	if err != nil {
		return ""
	}
	return tag
}

// dirty tells whether a file of the commit is another one now, or a
// specification is not in it.
func (r repository) dirty() (bool, error) {
	list, err := r.git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
	if err != nil {
		return false, err
	}
	for entry := range strings.SplitSeq(list, "\x00") {
		name, untracked := strings.CutPrefix(entry, "?? ")
		if entry != "" && (!untracked || fn.IsTreeFile(name)) {
			return true, nil
		}
	}
	return false, nil
}
