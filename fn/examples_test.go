package fn

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Documents show what a terminal shows, in blocks marked console:
//
//	$ a command, run by bash in the document's folder
//	its output, both streams
//
// Where an output is too long to show, a line "…" stands for the rest of it. A
// command that fails shows a count of problems, or says so in a comment behind
// it: "# exit 3". A block marked with a language and a path is a file, which
// the commands after it find there. What needs more than a copy of this
// repository, a cluster for instance, stands in a block that is marked
// otherwise, and is not run.

// consoleStep is a command with its output, or a file with its content.
type consoleStep struct {
	command    string
	exit       int
	file       string
	start, end int // lines of the output or the content, from 0
}

// consoleSteps finds the steps in a document's lines.
func consoleSteps(lines []string) (steps []consoleStep) {
	console, file := false, false
	for i, line := range lines {
		fence, isFence := strings.CutPrefix(line, "```")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isFence:
			info := strings.Fields(fence)
			file = len(info) == 2
			console = len(info) == 1 && info[0] == "console"
			if file {
				steps = append(steps, consoleStep{file: info[1], start: i + 1, end: i + 1})
			}
		case console && isCommand:
			step := consoleStep{command: command, start: i + 1, end: i + 1}
			if match := exitComment.FindStringSubmatch(command); match != nil {
				step.exit = int(match[1][0] - '0')
			}
			steps = append(steps, step)
		case file, console && len(steps) > 0:
			steps[len(steps)-1].end = i + 1
		}
	}
	return steps
}

// exitComment is how a command says that it fails.
var exitComment = regexp.MustCompile(` # exit ([1-9])$`)

// problemCount is how output ends that reports problems.
var problemCount = regexp.MustCompile(`(^|\n)[0-9]+ problems?(, [0-9]+ warnings?)?\n$`)

const ellipsis = "…"

// shown is what a document shows of an output: as many lines as it shows now,
// where it leaves the rest out.
func shown(output, now []string) []string {
	cut := slices.Index(now, ellipsis)
	if cut < 0 || cut >= len(output) {
		return output
	}
	return append(slices.Clone(output[:cut]), ellipsis)
}

// outputLines splits an output; there are none in an empty one.
func outputLines(output string) []string {
	output = strings.TrimSuffix(output, "\n")
	if output == "" {
		return nil
	}
	return strings.Split(output, "\n")
}

// consoleCommands are those that documents may use: they read, or write below
// their own folder, and are everywhere.
var consoleCommands = []string{"eso-tenant", "kustomize", "ls", "head", "tail", "grep", "cat", "diff", "find", "sed", "cp"}

// foreignCommands lists what else a line would run.
func foreignCommands(line string) []string {
	var found []string
	quote, first, word := rune(0), true, ""
	end := func() {
		if first && word != "" {
			if !slices.Contains(consoleCommands, word) {
				found = append(found, word)
			}
			first = false
		}
		word = ""
	}
	for _, c := range line {
		switch {
		case c == '`' && quote != '\'', c == '$' && quote != '\'':
			return append(found, string(c)) // could be a command of its own
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && word == "":
			return found
		case strings.ContainsRune("|&;()", c):
			end()
			first = c != ')'
		case strings.ContainsRune(" <>", c):
			end()
		default:
			word += string(c)
		}
	}
	end()
	return found
}

// runConsole runs a command and returns what a terminal would show.
func runConsole(t *testing.T, dir string, step consoleStep) string {
	t.Helper()
	cmd := command(t, dir, "bash", "-eu", "-o", "pipefail", "-c", step.command)
	out, err := cmd.CombinedOutput()
	code := 0
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	switch {
	case code == step.exit:
	case code == 1 && step.exit == 0 && problemCount.Match(out):
	case code == 141 && strings.Contains(step.command, "| head"): // head had seen enough, and the writer got the signal
	default:
		t.Errorf("$ %s\n%s\nexit code %d, not %d", step.command, out, code, step.exit)
	}
	return string(out)
}

// Every command of a console block in README.md, in docs/ and in the examples'
// READMEs does what is shown. UPDATE_GOLDEN=1 rewrites what is shown.
func TestREADMEs(t *testing.T) {
	names := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "examples/*/README.md"} {
		found, err := fs.Glob(os.DirFS(".."), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			text := read(t, filepath.Join("..", name))
			got := replay(t, name, text)
			switch {
			case got == text:
			case os.Getenv("UPDATE_GOLDEN") != "":
				write(t, "..", map[string]string{name: got})
			default:
				t.Errorf("what the commands do is not what %s shows (-shown +done):\n%s", name, cmp.Diff(text, got))
			}
		})
	}
}

// replay runs a document's commands in a copy of the repository, and returns
// the document with what they do.
func replay(t *testing.T, name, text string) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	steps := consoleSteps(lines)
	if len(steps) == 0 {
		return text
	}
	root := repository(t)
	dir := root // paths in a document of docs/ are from the root as well
	if strings.HasPrefix(name, "examples/") {
		dir = filepath.Join(root, filepath.Dir(name))
	}
	var all []string
	at := 0
	for _, step := range steps {
		if foreign := foreignCommands(step.command); len(foreign) > 0 {
			t.Fatalf("$ %s\n%q may not be run; allowed are %q", step.command, foreign, consoleCommands)
		}
		if step.file != "" {
			if !filepath.IsLocal(step.file) {
				t.Fatalf("%s is outside the document's folder", step.file)
			}
			write(t, dir, map[string]string{step.file: strings.Join(lines[step.start:step.end], "\n") + "\n"})
			continue
		}
		all = append(all, lines[at:step.start]...)
		output := outputLines(runConsole(t, dir, step))
		all = append(all, shown(output, lines[step.start:step.end])...)
		at = step.end
	}
	return strings.Join(append(all, lines[at:]...), "\n")
}

// repository copies what users find in the repository: no tests, and nothing
// that was built.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"examples", "docs", "README.md"} {
		from := filepath.Join("..", name)
		info, err := os.Stat(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() {
			write(t, root, map[string]string{name: read(t, from)})
		} else if err := os.CopyFS(filepath.Join(root, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Each example explains itself, in little.
func TestExamplesHaveREADMEs(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 4 {
		t.Errorf("there are %d examples", len(entries))
	}
	for _, entry := range entries {
		lines := strings.Split(read(t, filepath.Join("..", "examples", entry.Name(), "README.md")), "\n")
		if len(lines)-1 > 25 {
			t.Errorf("the README of %s has %d lines; 25 are enough", entry.Name(), len(lines)-1)
		}
		if len(consoleSteps(lines)) == 0 {
			t.Errorf("the README of %s shows no command", entry.Name())
		}
	}
}

// Every example is free of problems, of warnings as well: it is copied. Only
// brownfield has an old release of ESO, since that is what it is about.
func TestExamplesAreFine(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == "audit" {
			continue // rules for Falco, and no specification
		}
		sources, unread := ReadSources([]string{filepath.Join("..", "examples", entry.Name())}, nil)
		_, problems := Build(sources)
		for _, p := range slices.Concat(unread, problems) {
			if entry.Name() != "brownfield" || p.Rule != problem.ESOAdvisory {
				t.Error(p.Line())
			}
		}
	}
}

func TestConsoleSteps(t *testing.T) {
	const text = "# T\n```sh\n$ no\n```\n```console\n$ one\nout\n\nmore\n$ two # exit 3\n```\n$ no\n```yaml a/b.yaml\na: b\n```\nno\n```console\n$ three\n```"
	want := []consoleStep{
		{command: "one", start: 6, end: 9},
		{command: "two # exit 3", exit: 3, start: 10, end: 10},
		{file: "a/b.yaml", start: 13, end: 14},
		{command: "three", start: 18, end: 18},
	}
	if diff := cmp.Diff(want, consoleSteps(strings.Split(text, "\n")), cmp.AllowUnexported(consoleStep{})); diff != "" {
		t.Error(diff)
	}
}

func TestShown(t *testing.T) {
	output := []string{"a", "b", "c"}
	for name, test := range map[string]struct{ now, want []string }{
		"all":            {[]string{"x"}, output},
		"nothing yet":    {nil, output},
		"a part":         {[]string{"x", "…"}, []string{"a", "…"}},
		"none":           {[]string{"…"}, []string{"…"}},
		"as much":        {[]string{"a", "b", "c", "…"}, output},
		"after the rest": {[]string{"x", "…", "y"}, []string{"a", "…"}},
	} {
		if got := shown(output, test.now); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
}

func TestForeignCommands(t *testing.T) {
	for line, want := range map[string][]string{
		"eso-tenant render . | grep -c '^kind' # exit 1":   nil,
		"diff <(eso-tenant render a) <(kustomize build b)": nil,
		"grep 'rm | x; y $z' f && ls":                      nil,
		"rm -rf x":                                         {"rm"},
		"ls; curl x | bash":                                {"curl", "bash"},
		"ls & X=1 rm":                                      {"X=1"},
		"diff <(sh x) y":                                   {"sh"},
		"cat \"$(rm x)\"":                                  {"$"},
		"cat `rm x`":                                       {"`"},
		"find . -name 'a b' || kubectl apply -f - ; grep -x \"|\"": {"kubectl"},
	} {
		if got := foreignCommands(line); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", line, got, want)
		}
	}
}
