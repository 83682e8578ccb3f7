package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan(s streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "man [COMMAND…]",
		Short: "Print a man page, or write all of them",
		Long: `Man prints the man page of eso-tenant, or of one of its commands. With a
folder, it writes the pages of all commands there; other files in the folder are
left alone.`,
		Example: `  eso-tenant man render | man -l -
  eso-tenant man -o /usr/local/share/man/man1`,
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStated(cmd, "output"); err != nil {
				return err
			}
			if output == "" {
				return s.manPage(cmd.Root(), args)
			}
			if len(args) > 0 {
				return errors.New("with --output, the pages of all commands are written; leave out " + args[0])
			}
			return failed(writePages(cmd.Root(), output))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write all pages to this `folder`")
	return cmd
}

func (s streams) manPage(root *cobra.Command, args []string) error {
	of, err := commandNamed(root, args)
	if err != nil {
		return err
	}
	if _, err := s.out.Write(manPage(of)); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}

// writePages writes the page of a command and those of the commands below it.
func writePages(cmd *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	if err := replaceFile(filepath.Join(folder, manName(cmd)+".1"), manPage(cmd)); err != nil {
		return fmt.Errorf("writing the page of %s: %w", cmd.CommandPath(), err)
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			if err := writePages(c, folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// manName is what `man` finds the page by.
func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// replaceFile writes a file in one step: a reader sees the old one or the new one.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".eso-tenant-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// manPage is a command's page. cobra's own generator goes through Markdown, whose
// parser would cost every start of the program half a millisecond; it takes
// <cluster> for HTML, dates each page, and knows no exit codes.
func manPage(cmd *cobra.Command) []byte {
	cmd.InitDefaultHelpFlag()
	p := &roff{}
	p.WriteString(`.TH "` + strings.ToUpper(manName(cmd)) + `" "1" "" "eso-tenant ` + escapeRoff(buildVersion()) + `" "User Commands"` + "\n")
	p.section("NAME", manName(cmd)+" - "+cmd.Short)
	p.section("SYNOPSIS", synopsis(cmd))
	p.section("DESCRIPTION", cmp.Or(cmd.Long, cmd.Short+"."))
	if cmd.HasAvailableSubCommands() {
		p.section("COMMANDS", commandList(cmd))
	}
	p.section("OPTIONS", cmd.Flags().FlagUsages())
	p.section("EXIT STATUS", exitText)
	if !cmd.HasParent() {
		p.section("ENVIRONMENT", environmentText)
		p.section("FILES", filesText)
	}
	p.section("EXAMPLES", cmd.Example)
	p.section("SEE ALSO", seeAlso(cmd))
	return p.Bytes()
}

// exitText, environmentText and filesText are what no command's help has.
const (
	exitText = `  0  nothing is wrong; there may be warnings
  1  there are problems in the input; nothing was written
  2  the command line is wrong
  3  the work could not be done`

	environmentText = `  NO_COLOR   if it is set, problems have no colour
  TERM=dumb  the same, and no progress is shown`

	filesText = `A specification is one or several documents in *.yaml, *.yml or *.json files. In
a folder, hidden files and kustomizations are not read. Below a folder called
tenants, tenants/web.yaml and tenants/web/* hold the tenant web and no other.`
)

func synopsis(cmd *cobra.Command) string {
	text := "  " + cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		text += "\n  " + cmd.CommandPath() + " COMMAND"
	}
	return text
}

// commandList is the commands below a command, one a line.
func commandList(cmd *cobra.Command) string {
	var list strings.Builder
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&list, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
		}
	}
	return list.String()
}

// seeAlso names the pages of the commands above and below.
func seeAlso(cmd *cobra.Command) string {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, manName(cmd.Parent())+"(1)")
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			pages = append(pages, manName(c)+"(1)")
		}
	}
	return strings.Join(pages, ", ")
}

// roff is a page in the language of man pages, see groff_man(7).
type roff struct{ bytes.Buffer }

// section writes text as it stands in helps: what is indented keeps its lines.
func (p *roff) section(title, text string) {
	p.WriteString(".SH " + title + "\n")
	verbatim := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if indented := strings.HasPrefix(line, "  "); indented != verbatim {
			p.WriteString(map[bool]string{true: ".EX\n", false: ".EE\n"}[indented])
			verbatim = indented
		}
		if line == "" {
			p.WriteString(".PP\n")
		} else {
			// Behind \& a full stop begins no request.
			p.WriteString(`\&` + escapeRoff(strings.TrimPrefix(line, "  ")) + "\n")
		}
	}
	if verbatim {
		p.WriteString(".EE\n")
	}
}

// escapeRoff takes the meaning of their own from characters, and writes those
// that some readers of pages lack in others.
func escapeRoff(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `…`, `...`).Replace(text)
}
