package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// reporter writes the problems that a command finds, in the way that its flags
// say.
type reporter struct {
	streams
	format   format.Format
	severity problem.Severity
	// verdicts are a proof's, for machines.
	verdicts map[string]string
	// audit is what audit counted, for machines.
	audit any
	// machine is where formats for machines go. Text goes to standard error.
	machine io.Writer
}

// reporter gives a command the flags that say how its problems are reported.
func (s streams) reporter(cmd *cobra.Command, machine io.Writer) *reporter {
	r := &reporter{streams: s, format: format.Text, severity: problem.Warning, machine: machine}
	addChoice(cmd, &r.format, "format", format.All(), "`format` of problems: text, json, sarif, junit, github")
	addChoice(cmd, &r.severity, "severity", []problem.Severity{problem.Error, problem.Warning}, "least `severity` to show: error, warning (default)")
	return r
}

// forPeople tells whether people read the report. A machine's has nothing beside
// it on its stream.
func (r *reporter) forPeople() bool { return r.format == format.Text }

// report writes the problems, with lines of the sources they are about where a
// terminal shows them. The error says that some of them keep the output from
// being made, and does not depend on which are shown.
func (r *reporter) report(problems problem.List, sources []schema.Source) error {
	to, folder := r.machine, ""
	if r.forPeople() {
		to = r.err
	} else {
		folder, _ = os.Getwd() // without it, names lose their folders
	}
	options := format.Options{Style: r.style(sources), Version: buildVersion(), Folder: folder, Verdicts: r.verdicts, Audit: r.audit}
	if err := format.Write(to, r.format, problems.AtLeast(r.severity), options); err != nil {
		return failed(fmt.Errorf("writing problems: %w", err))
	}
	if problems.Errors() > 0 {
		return &exit{code: exitProblems}
	}
	return nil
}

// style is for a terminal, if standard error is one; in colour unless NO_COLOR
// is set or the terminal has none.
func (s streams) style(sources []schema.Source) problem.Style {
	if !isTerminal(s.err) {
		return problem.Style{}
	}
	style := problem.Color()
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		style = problem.Style{}
	}
	style.Source = func(file string) []byte {
		i := slices.IndexFunc(sources, func(s schema.Source) bool { return s.File == file })
		if i < 0 {
			return nil
		}
		return sources[i].Data
	}
	return style
}

// choice is the value of a flag that is one of a few words.
type choice[T ~string] struct {
	value *T
	of    []T
}

func (c choice[T]) String() string { return string(*c.value) }

// Type is what is shown where the flag's usage does not name its value.
func (choice[T]) Type() string { return "word" }

func (c choice[T]) words() []string {
	var words []string
	for _, word := range c.of {
		words = append(words, string(word))
	}
	return words
}

// Set refuses all but the words.
func (c choice[T]) Set(word string) error {
	if !slices.Contains(c.of, T(word)) {
		return fmt.Errorf("it is one of %s", strings.Join(c.words(), ", "))
	}
	*c.value = T(word)
	return nil
}

// addChoice adds a flag that takes one of a few words, and completes them.
func addChoice[T ~string](cmd *cobra.Command, value *T, name string, of []T, usage string) {
	c := choice[T]{value, of}
	cmd.Flags().Var(c, name, usage)
	cmd.Flags().Lookup(name).DefValue = "" // the usage says it
	completeFlag(cmd, name, cobra.FixedCompletions(c.words(), cobra.ShellCompDirectiveNoFileComp))
}
