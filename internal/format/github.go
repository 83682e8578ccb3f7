package format

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// writeGitHub writes a workflow command for each problem. GitHub takes a line
// for a command, so that every text has to stay on its line and in its field:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
// and, for the escapes, actions/toolkit's packages/core/src/command.ts.
func writeGitHub(b *bytes.Buffer, l problem.List) {
	for _, p := range l {
		var properties []string
		property := func(name, value string) {
			properties = append(properties, name+"="+githubProperty.Replace(value))
		}
		if p.Position.File != "" {
			property("file", filepath.ToSlash(problem.Clean(p.Position.File)))
		}
		if p.Position.Line > 0 {
			property("line", strconv.Itoa(p.Position.Line))
			property("col", strconv.Itoa(p.Position.Column))
		}
		property("title", string(p.Rule))
		text := strings.Join(append([]string{p.Says()}, p.Details()...), "\n")
		if p.Position.File == "" && p.Position.Subject != "" {
			text = p.Position.String() + ": " + text
		}
		b.WriteString("::" + string(level(p)) + " " + strings.Join(properties, ",") + "::" + githubData.Replace(text) + "\n")
	}
}

var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
