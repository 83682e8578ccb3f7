package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
)

// completionTime is how long somebody who pressed the Tab key is kept waiting
// at most, in a folder full of other things.
const completionTime = 300 * time.Millisecond

func newCompletion(s streams) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print a script that completes commands in your shell",
		Long: `Completion prints a script for your shell. With it, the Tab key completes
commands, flags, and the names that your specifications have: those in the paths
typed so far, or else in the current folder.`,
		Example: `  source <(eso-tenant completion bash)   # needs bash-completion
  eso-tenant completion zsh > "${fpath[1]}/_eso-tenant"
  eso-tenant completion fish > ~/.config/fish/completions/eso-tenant.fish
  eso-tenant completion powershell | Out-String | Invoke-Expression`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return shells, cobra.ShellCompDirectiveNoFileComp
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("name one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writeCompletion(cmd.Root(), args[0], s.out); err != nil {
				return failed(fmt.Errorf("writing output: %w", err))
			}
			return nil
		},
	}
}

// writeCompletion writes a shell's script, in which commands have descriptions.
func writeCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	default:
		return root.GenPowerShellCompletionWithDesc(w)
	}
}

// completeFlags completes the values of flags, by the flags' names, of all
// commands alike. A command that has its own way keeps it.
func completeFlags(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		completeFlags(c)
	}
	for flag, of := range map[string]fn.NameOf{"cluster": fn.ClusterNames, "tenant": fn.TenantNames, "provider": fn.ProviderNames} {
		completeFlag(cmd, flag, completeNames(of))
	}
	if output := cmd.Flags().Lookup("output"); output != nil && strings.Contains(output.Usage, "`folder`") {
		completeFlag(cmd, "output", completeFolders)
	}
}

// completeFlag leaves alone what is no flag of the command's, and what is
// completed already: cobra knows no other mistakes here.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	_ = cmd.RegisterFlagCompletionFunc(flag, complete)
}

func completeFolders(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeNames offers names from the specifications that the command line
// names so far. Behind a comma it offers those that do not stand before it.
func completeNames(of fn.NameOf) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		chosen := strings.Split(before, ",")
		var offered []cobra.Completion
		for _, name := range fn.Names(ctx, of, specifications(args)) {
			if strings.HasPrefix(before+name, typed) && !slices.Contains(chosen, name) {
				offered = append(offered, before+name)
			}
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
}

// specifications are the arguments that are paths; the current folder if none is.
func specifications(args []string) []string {
	paths := slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		_, err := os.Stat(arg)
		return err != nil
	})
	if len(paths) == 0 {
		return []string{"."}
	}
	return paths
}
