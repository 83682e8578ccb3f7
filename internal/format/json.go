package format

import (
	"encoding/json"
	"io"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// jsonReport is documented in the package's documentation and in
// docs/formats.md.
type jsonReport struct {
	Problems []jsonProblem `json:"problems"`
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
	// Verdicts are those of verify: proven, accepted, not-proven or breached, for mint, write and read.
	Verdicts map[string]string `json:"verdicts,omitempty"`
	Audit    any               `json:"audit,omitempty"`
}

type jsonProblem struct {
	Rule     problem.Rule     `json:"rule"`
	Severity problem.Severity `json:"severity"`
	File     string           `json:"file,omitempty"`
	Subject  string           `json:"subject,omitempty"`
	Line     int              `json:"line,omitempty"`
	Column   int              `json:"column,omitempty"`
	Path     string           `json:"path,omitempty"`
	Message  string           `json:"message"`
	Because  []string         `json:"because,omitempty"`
	Hint     string           `json:"hint,omitempty"`
}

func writeJSON(w io.Writer, l problem.List, o Options) error {
	report := jsonReport{Problems: []jsonProblem{}, Errors: l.Errors(), Warnings: len(l) - l.Errors(), Verdicts: o.Verdicts, Audit: o.Audit}
	for _, p := range l {
		one := jsonProblem{
			Rule: p.Rule, Severity: level(p),
			File: problem.Clean(p.Position.File), Subject: problem.Clean(p.Position.Subject), Line: p.Position.Line, Column: p.Position.Column,
			Path: problem.Clean(p.Path), Message: problem.Clean(p.Message), Hint: problem.Clean(p.Hint),
		}
		for _, because := range p.Because {
			one.Because = append(one.Because, problem.Clean(because))
		}
		report.Problems = append(report.Problems, one)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// level is a problem's severity in words, also of a rule that nobody entered
// in the table.
func level(p problem.Problem) problem.Severity {
	if p.IsError() {
		return problem.Error
	}
	return problem.Warning
}
