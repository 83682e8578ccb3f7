package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// programName is what the program is called by default.
const programName = "eso-tenant"

// The files as which flux and kubectl find plugins. flux keeps to dashes, for
// kubectl an underscore stands for one; kubectl runs the last for completion.
const (
	fluxPlugin      = "flux-eso-tenant"
	kubectlPlugin   = "kubectl-eso_tenant"
	kubectlComplete = "kubectl_complete-eso_tenant"
)

// invoked tells from the file that was started what its user typed, and what it
// is to do: kubectl's name for completion is cobra's hidden command.
func invoked(file string, args []string) (program string, rest []string) {
	switch strings.TrimSuffix(filepath.Base(file), ".exe") {
	case fluxPlugin:
		return "flux " + programName, args
	case kubectlPlugin:
		return "kubectl " + programName, args
	case kubectlComplete:
		return "kubectl " + programName, append([]string{cobra.ShellCompRequestCmd}, args...)
	default:
		return programName, args
	}
}

// calledAs lets helps and examples say what their reader types.
func calledAs(root *cobra.Command, program string) {
	if program == programName {
		return
	}
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: program}
	renameExamples(root, program)
}

func renameExamples(cmd *cobra.Command, program string) {
	cmd.Example = strings.ReplaceAll(cmd.Example, programName+" ", program+" ")
	for _, c := range cmd.Commands() {
		renameExamples(c, program)
	}
}
