package format

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// What the tool calls itself in reports.
const (
	tool     = "eso-tenant"
	toolURI  = "https://github.com/eso-tenant/eso-tenant"
	rulesURI = toolURI + "/blob/main/docs/rules.md#"
)

// writeSARIF writes SARIF 2.1.0 with what GitHub's code scanning asks for:
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
func writeSARIF(w io.Writer, l problem.List, o Options) error {
	run := sarif.NewRunWithInformationURI(tool, toolURI)
	run.WithColumnKind("unicodeCodePoints")
	if o.Version != "" {
		run.Tool.Driver.WithVersion(o.Version)
	}
	rules := rulesOf(l)
	for _, rule := range rules {
		run.Tool.Driver.AddRule(descriptor(rule))
	}
	for _, p := range l {
		index, _ := slices.BinarySearch(rules, p.Rule)
		run.AddResult(result(p, o.Folder).WithRuleIndex(index))
	}
	report := sarif.NewReport().AddRun(run)
	if err := report.PrettyWrite(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// rulesOf lists the rules that occur, each once, sorted.
func rulesOf(l problem.List) []problem.Rule {
	var rules []problem.Rule
	for _, p := range l {
		rules = append(rules, p.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

func descriptor(rule problem.Rule) *sarif.ReportingDescriptor {
	summary := problem.Rules()[rule].Summary
	text := func() *sarif.MultiformatMessageString {
		return sarif.NewMultiformatMessageString().WithText(summary)
	}
	// GitHub asks for all three texts, and shows them in different places.
	return sarif.NewRule(string(rule)).
		WithShortDescription(text()).WithFullDescription(text()).WithHelp(text()).
		WithHelpURI(rulesURI + string(rule)).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(string(level(problem.Problem{Rule: rule}))))
}

func result(p problem.Problem, folder string) *sarif.Result {
	text := strings.Join(append([]string{p.Says()}, p.Details()...), "\n")
	result := sarif.NewRuleResult(string(p.Rule)).
		WithLevel(string(level(p))).
		WithMessage(sarif.NewTextMessage(linkless(text))).
		WithPartialFingerprints(map[string]string{"problem/v1": fingerprint(p)})
	if location := location(p, folder); location != nil {
		result.AddLocation(location)
	}
	return result
}

// linkless escapes what would be a link in a SARIF message (section 3.11.6):
// users write into messages, too.
func linkless(text string) string {
	if !strings.Contains(text, "](") {
		return text
	}
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(text)
}

// fingerprint stays as it is when lines above are added or removed.
func fingerprint(p problem.Problem) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(p.Rule), p.Path, p.Message}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// location is where a problem is, or nil where there is nothing to point at.
func location(p problem.Problem, folder string) *sarif.Location {
	name := p.Path
	if p.Position.File == "" {
		name = p.Position.Subject
	}
	if p.Position.File == "" && name == "" {
		return nil
	}
	location := sarif.NewLocation()
	if name != "" {
		location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(problem.Clean(name)))
	}
	if p.Position.File == "" {
		return location
	}
	// A problem of a whole file has no region in SARIF, but GitHub wants one.
	region := sarif.NewRegion().WithStartLine(max(p.Position.Line, 1))
	if p.Position.Column > 0 {
		region.WithStartColumn(p.Position.Column)
	}
	return location.WithPhysicalLocation(sarif.NewPhysicalLocation().
		WithArtifactLocation(sarif.NewSimpleArtifactLocation(uri(p.Position.File, folder))).
		WithRegion(region))
}

// uri is a file's name as a relative reference. Of an absolute name that is not
// below the folder, only the last part is left.
func uri(file, folder string) string {
	if filepath.IsAbs(file) {
		relative, err := filepath.Rel(folder, file)
		if err != nil || !filepath.IsLocal(relative) {
			relative = filepath.Base(file)
		}
		file = relative
	}
	reference := url.URL{Path: filepath.ToSlash(filepath.Clean(file))}
	return reference.String()
}
