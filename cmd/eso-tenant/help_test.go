package main

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Help fits a terminal: a screen of 80 by 24, and for the root, which lists the
// commands, one of 40 lines.
func TestHelpFitsScreen(t *testing.T) {
	for _, cmd := range commands(newRoot(streams{})) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			limit := 24
			if !cmd.HasParent() {
				limit = 40
			}
			if n := strings.Count(helpOf(t, cmd), "\n"); n > limit {
				t.Errorf("%d lines; at most %d fit", n, limit)
			}
			for line := range strings.Lines(helpOf(t, cmd)) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns; at most 80 fit: %s", n, line)
				}
			}
		})
	}
}

// Every command has an example, and what it shows is a command line that there is.
func TestHelpExamples(t *testing.T) {
	for _, cmd := range commands(newRoot(streams{})) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			examples := exampleCommand.FindAllStringSubmatch(cmd.Example, -1)
			if len(examples) == 0 {
				t.Error("there is no example")
			}
			for _, example := range examples {
				shown, rest, err := newRoot(streams{}).Find(strings.Fields(example[1]))
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(shown.ParseFlags(rest), shown.ValidateArgs(shown.Flags().Args())); err != nil {
					t.Errorf("%s: %v", example[0], err)
				}
				if !strings.HasPrefix(shown.CommandPath(), cmd.CommandPath()) {
					t.Errorf("%s: this is an example of %s", example[0], shown.CommandPath())
				}
			}
		})
	}
}

// exampleCommand finds the command line in one of the shell's.
var exampleCommand = regexp.MustCompile(`eso-tenant ([^|#>)\n]+)`)

// commands are a command and all below it, but for cobra's own help.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			all = slices.Concat(all, commands(c))
		}
	}
	return all
}

func helpOf(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	words := strings.Fields(cmd.CommandPath())[1:]
	var out, err bytes.Buffer
	if code := run(t.Context(), append(words, "--help"), streams{in: strings.NewReader(""), out: &out, err: &err}); code != exitFine || err.Len() > 0 {
		t.Fatalf("exit code %d, standard error %q", code, err.String())
	}
	return out.String()
}
