package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Bounds on what is read of a git revision: as for folders.
const (
	maxTreeFiles = 100_000
	maxTreeBytes = 512 << 20
	maxTreeList  = 64 << 20 // of the list of files
)

// errNoGit says that there is no git on the PATH.
var errNoGit = errors.New("git revisions are read by git, and there is no git on the PATH")

// isRevision tells whether an operand is rev:path, as git writes it. Paths that
// exist are paths.
func isRevision(operand string) bool {
	_, err := os.Lstat(operand)
	return err != nil && strings.Contains(operand, ":")
}

// readRevision reads a file or a folder of a git revision: rev:path from where
// the repository begins, rev:./path from the current folder. Nothing is checked
// out and no hook or filter runs. Symbolic links and submodules are not followed.
func readRevision(ctx context.Context, operand string) (fn.Tree, error) {
	rev, _, _ := strings.Cut(operand, ":")
	if rev == "" || strings.HasPrefix(rev, "-") {
		return fn.Tree{}, fmt.Errorf("%s names no git revision before the colon", problem.Quote(operand))
	}
	id, err := git(ctx, nil, 1<<10, "rev-parse", "--verify", "--quiet", "--end-of-options", operand)
	if errors.Is(err, errNoGit) {
		return fn.Tree{}, err
	}
	object := strings.TrimSpace(string(id))
	if err != nil || !objectID.MatchString(object) {
		return fn.Tree{}, fmt.Errorf("there is no %s here, neither as a path nor as one in git's revision %s", problem.Quote(operand), problem.Quote(rev))
	}
	kind, err := git(ctx, nil, 1<<10, "cat-file", "-t", object)
	if err != nil {
		return fn.Tree{}, err
	}
	tree := fn.Tree{Name: operand}
	if strings.TrimSpace(string(kind)) == "blob" {
		data, err := git(ctx, nil, schema.MaxSourceBytes, "cat-file", "blob", object)
		tree.Files = []fn.TreeFile{{Data: data}}
		return tree, err
	}
	tree.Files, err = readTree(ctx, object)
	return tree, err
}

var objectID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// readTree reads the regular files of a tree that may be specifications or
// manifests.
func readTree(ctx context.Context, tree string) ([]fn.TreeFile, error) {
	list, err := git(ctx, nil, maxTreeList, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
	if err != nil {
		return nil, err
	}
	var files []fn.TreeFile
	var ids bytes.Buffer
	total := int64(0)
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		// mode SP type SP id SP+ size TAB path
		head, name, _ := strings.Cut(entry, "\t")
		parts := strings.Fields(head)
		if len(parts) != 4 || parts[0] != "100644" && parts[0] != "100755" || !objectID.MatchString(parts[2]) || !fn.IsTreeFile(name) {
			continue
		}
		size, err := strconv.ParseInt(parts[3], 10, 64)
		if total += size; err != nil || total > maxTreeBytes || len(files) >= maxTreeFiles {
			return nil, fmt.Errorf("this tree of git's has more than %d MiB or %d files to read; name a part of it", maxTreeBytes>>20, maxTreeFiles)
		}
		files = append(files, fn.TreeFile{Inside: name, Data: make([]byte, size)})
		ids.WriteString(parts[2] + "\n")
	}
	return files, readBlobs(ctx, &ids, files)
}

// readBlobs reads the contents of files, whose sizes are known, by their ids.
func readBlobs(ctx context.Context, ids io.Reader, files []fn.TreeFile) error {
	if len(files) == 0 {
		return nil
	}
	out, err := git(ctx, ids, maxTreeBytes+int64(len(files))*128, "cat-file", "--batch", "--buffer")
	if err != nil {
		return err
	}
	for _, f := range files {
		// id SP type SP size LF content LF
		end := bytes.IndexByte(out, '\n')
		if end < 0 || len(out) < end+1+len(f.Data)+1 || !strings.HasSuffix(string(out[:end]), " blob "+strconv.Itoa(len(f.Data))) {
			return fmt.Errorf("git does not have the content of %s", problem.Quote(f.Inside))
		}
		copy(f.Data, out[end+1:])
		out = out[end+1+len(f.Data)+1:]
	}
	return nil
}

// git runs git in the current folder and returns what it prints, up to limit
// bytes. It fetches nothing, asks nobody, and replaces no object by another.
func git(ctx context.Context, in io.Reader, limit int64, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-replace-objects", "--no-optional-locks"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	cmd.Stdin = in
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errNoGit
	}
	if err != nil {
		return nil, fmt.Errorf("running git: %w", err)
	}
	out, readErr := io.ReadAll(io.LimitReader(pipe, limit+1))
	if int64(len(out)) > limit {
		_ = cmd.Process.Kill() // it would wait for somebody to read the rest
		_ = cmd.Wait()
		return nil, fmt.Errorf("git %s prints more than %d bytes", args[0], limit)
	}
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		first, _, _ := strings.Cut(complaint.String(), "\n")
		return nil, fmt.Errorf("running git %s: %w: %s", args[0], err, problem.Clean(first))
	}
	return out, nil
}
