// Package explain says of every rule why it is there and what is wrong and
// right by it. The texts are pages in rules/, one for each rule, and its tests
// run their examples. Severity and summary are problem's.
//
// A page is Markdown of a fixed form: paragraphs that say why; the heading
// "## Wrong"; the heading "## Right". Below each heading stand paragraphs or
// code blocks, of which the latter name the file that they are, as in
// "```yaml tenants/web.yaml", but for those of a console. A side without a
// Platform of its own is read beside PlatformYAML. The examples of the proof's
// rules are objects of Kubernetes: they are added to what PlatformYAML and
// TenantYAML are rendered to, without admission policies (those about Gatekeeper: with
// it as the engine), where an object of the same kind and name takes
// the place of the rendered one, and kustomize's "$patch: delete" removes it.
package explain

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Page is what there is to say of a rule.
type Page struct {
	Rule problem.Rule
	problem.Info
	Why          []string // paragraphs
	Wrong, Right Side
}

// Side is one side of an example: in words, where no short file would show it,
// or as files.
type Side struct {
	Words  []string // paragraphs
	Blocks []Block
}

// Block is a file of an example, or what is typed at a terminal.
type Block struct {
	Language string // yaml, cue or console
	File     string // slash-separated, from the folder that is read; "" for a console
	Text     string // whole lines
}

// PlatformYAML is the Platform of the examples that show none.
//
//go:embed platform.yaml
var PlatformYAML string

// withoutAdmission ends PlatformYAML for the proof's examples.
const withoutAdmission = "  admission: {engine: none}\n"

// withGatekeeper ends it for the examples that are about Gatekeeper.
const withGatekeeper = "  admission: {engine: Gatekeeper}\n"

// TenantYAML is the tenant of the proof's examples.
//
//go:embed tenant.yaml
var TenantYAML string

//go:embed rules
var pages embed.FS

// Rule returns the page of a rule. The error is for whoever asked for a rule
// that does not exist, and names those that could be meant.
func Rule(rule problem.Rule) (Page, error) {
	info, known := problem.Rules()[rule]
	if !known {
		return Page{}, unknown(string(rule))
	}
	text, err := pages.ReadFile("rules/" + string(rule) + ".md")
	if err != nil {
		return Page{}, fmt.Errorf("reading the page of %s: %w", rule, err)
	}
	page, err := parse(string(text))
	if err != nil {
		return Page{}, fmt.Errorf("reading the page of %s: %w", rule, err)
	}
	page.Rule, page.Info = rule, info
	return page, nil
}

// unknown names the rules that are about the same, or else the one that is
// spelt almost so.
func unknown(name string) error {
	message := "there is no rule " + problem.Quote(name)
	var all, near []string
	for _, rule := range slices.Sorted(maps.Keys(problem.Rules())) {
		all = append(all, string(rule))
		if name != "" && strings.Contains(string(rule), name) {
			near = append(near, string(rule))
		}
	}
	if rule := schema.Nearest(name, all); rule != "" {
		near = []string{rule}
	}
	if len(near) == 0 {
		return errors.New(message + "; eso-tenant explain lists all")
	}
	return errors.New(message + "; did you mean " + strings.Join(near, " or ") + "?")
}
