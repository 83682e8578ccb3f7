package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND…]",
		Short:             "Show the help of a command",
		Long:              "Help shows the help of eso-tenant, or of one of its commands.",
		Example:           `  eso-tenant help render`,
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := commandNamed(cmd.Root(), args)
			if err != nil {
				return err
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// commandNamed finds a command by the words behind eso-tenant.
func commandNamed(root *cobra.Command, words []string) (*cobra.Command, error) {
	cmd, rest, err := root.Find(words)
	if err != nil {
		return nil, err
	}
	return cmd, noUnknownCommand(cmd, rest)
}

// completeCommands offers the commands below the one that was typed so far.
func completeCommands(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var offered []cobra.Completion
	if above, err := commandNamed(cmd.Root(), args); err == nil {
		for _, c := range above.Commands() {
			if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), typed) {
				offered = append(offered, cobra.CompletionWithDesc(c.Name(), c.Short))
			}
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}

// arrange groups the commands for the root's help.
func arrange(root *cobra.Command) {
	groups := []struct {
		title    string
		commands []string
	}{
		{"Write and check:", []string{"init", "adopt", "vet", "render", "push", "offboard"}},
		{"Prove:", []string{"verify", "who-can", "diff", "audit"}},
		{"Look up:", []string{"explain", "schema", "version", "help"}},
		{"Set up:", []string{"completion", "man"}},
	}
	root.SetHelpCommand(newHelp())
	root.InitDefaultHelpCmd()
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, name := range g.commands {
			if cmd, _, err := root.Find([]string{name}); err == nil && cmd != root {
				cmd.GroupID = g.title
			}
		}
	}
}

// noUnknownCommand is the root's Args: all that is no command's name is a mistake.
func noUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %s for %q", problem.Quote(args[0]), cmd.CommandPath())
	if near := nearCommands(cmd, args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// nearCommands are the commands that a word may be a misspelling of. cobra
// knows, but never suggests its own help: so it is asked about stand-ins.
func nearCommands(cmd *cobra.Command, word string) []string {
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names.AddCommand(&cobra.Command{Use: c.Name(), SuggestFor: c.SuggestFor, Run: func(*cobra.Command, []string) {}})
		}
	}
	return names.SuggestionsFor(word)
}
