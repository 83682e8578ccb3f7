package offboard

import (
	"fmt"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Text is the plan for a terminal.
func (p Plan) Text() string {
	var b strings.Builder
	for i, c := range p.Clusters {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s on %s\n", p.title(), c.Name)
		for n, s := range c.Steps {
			fmt.Fprintf(&b, "\n%d. %s\n", n+1, s.Title)
			if s.Because != "" {
				fmt.Fprintf(&b, "   because: %s\n", s.Because)
			}
			for _, e := range s.Edits {
				fmt.Fprintf(&b, "   %s:%d: %s\n", problem.Clean(e.File), e.Line, e.Change)
			}
			for _, command := range s.Commands {
				fmt.Fprintf(&b, "   $ %s\n", command)
			}
			for _, note := range s.Notes {
				fmt.Fprintf(&b, "   - %s\n", note)
			}
		}
	}
	return b.String()
}

// Markdown is the plan for an issue or a runbook.
func (p Plan) Markdown() string {
	var b strings.Builder
	for i, c := range p.Clusters {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "# %s on %s\n", p.title(), c.Name)
		for n, s := range c.Steps {
			fmt.Fprintf(&b, "\n## %d. %s\n", n+1, s.Title)
			if s.Because != "" {
				fmt.Fprintf(&b, "\nBecause %s.\n", s.Because)
			}
			if len(s.Edits)+len(s.Notes) > 0 {
				b.WriteString("\n")
			}
			for _, e := range s.Edits {
				fmt.Fprintf(&b, "- [ ] %s: %s\n", code(fmt.Sprintf("%s:%d", e.File, e.Line)), e.Change)
			}
			for _, note := range s.Notes {
				fmt.Fprintf(&b, "- %s\n", note)
			}
			if len(s.Commands) > 0 {
				fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.Join(s.Commands, "\n"))
			}
		}
	}
	return b.String()
}

// code is a file's name, which may be anything, as code.
func code(text string) string {
	return "`" + strings.ReplaceAll(problem.Clean(text), "`", "'") + "`"
}

func (p Plan) title() string {
	what := "tenant " + p.Tenant
	if p.Namespace != "" {
		what = "namespace " + p.Namespace + " of tenant " + p.Tenant
	}
	if p.To != "" {
		return "Move " + what + " to " + p.To
	}
	return "Remove " + what
}
