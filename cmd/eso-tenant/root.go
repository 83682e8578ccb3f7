package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// The exit codes, as documented in the README.
const (
	exitFine     = 0 // nothing wrong
	exitProblems = 1 // problems in the input
	exitUsage    = 2 // the command line is wrong
	exitFailed   = 3 // the work could not be done
)

// exit is an error that carries its exit code. Without a cause there is nothing
// more to say.
type exit struct {
	code  int
	cause error
}

func (e *exit) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e *exit) Unwrap() error { return e.cause }

// failed says that the work could not be done.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &exit{code: exitFailed, cause: err}
}

// streams are the process's own, and what its user calls it.
type streams struct {
	program  string // "" for programName
	in       io.Reader
	out, err io.Writer
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var e *exit
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &e):
		if e.cause != nil {
			s.sayError(e.cause)
		}
		return e.code
	default: // from cobra, which has looked at the command line only
		s.sayError(err)
		fmt.Fprintf(s.err, "Run '%s --help' for usage.\n", s.called())
		return exitUsage
	}
}

// called is what the user calls the program.
func (s streams) called() string { return cmp.Or(s.program, programName) }

func (s streams) sayError(err error) {
	fmt.Fprintln(s.err, s.called()+": "+problem.Clean(err.Error()))
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   programName,
		Short: "Fence External Secrets Operator, tenant by tenant",
		Long: `eso-tenant expands one small specification per tenant into the manifests that
fence External Secrets Operator, and proves that the fence holds.

Without a command, it is a KRM function: a ResourceList on standard input.`,
		Example:       `  eso-tenant render examples/fleet -o rendered`,
		Args:          noUnknownCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if isTerminal(s.in) {
				return errors.Join(cmd.Help(), &exit{code: exitUsage})
			}
			return s.function()
		},
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newInit(s), newAdopt(s), newVerify(s), newWhoCan(s), newDiff(s), newAudit(s), newVet(s), newRender(s), newPush(s), newOffboard(s), newVersion(s))
	root.AddCommand(newExplain(s), newSchema(s), newCompletion(s), newMan(s))
	completeFlags(root)
	arrange(root)
	calledAs(root, s.called())
	return root
}

// function runs as a KRM function. kustomize shows the user nothing but
// standard error, so the problems go there as well as into the results.
func (s streams) function() error {
	problems, err := fn.Run(s.in, s.out)
	if err != nil {
		return failed(err)
	}
	people := reporter{streams: s, format: format.Text}
	return people.report(problems, nil)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
