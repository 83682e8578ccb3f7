package explain

import (
	"fmt"
	"io"
	"strings"
)

// documentColumns is how wide paragraphs are in the repository's documents.
const documentColumns = 120

const documentHead = `# Rules

Written by a test of ` + "`internal/explain`" + `; do not edit. What eso-tenant checks, and why. Every problem ends with its
rule, and ` + "`eso-tenant explain RULE`" + ` says on a terminal what stands here. With an error, nothing is rendered; a warning
is for somebody to look at. The examples are run by tests. Where one shows no Platform, this one stands beside it:

`

const documentTenant = `
The examples of the proof are objects of the cluster. They are added to what that Platform renders with this tenant, and
with ` + "`" + `admission: {engine: none}` + "`" + `: admission policies close some of the ways, and the page of each such rule says so. An
object takes the place of a rendered one of the same kind and name:

`

// WriteRulesDoc writes docs/rules.md: all rules, in their groups.
func WriteRulesDoc(w io.Writer) error {
	var b strings.Builder
	b.WriteString(documentHead)
	writeBlock(&b, Block{Language: "yaml", File: "platform.yaml", Text: PlatformYAML})
	b.WriteString(documentTenant)
	writeBlock(&b, Block{Language: "yaml", File: "tenants/web.yaml", Text: TenantYAML})
	for _, g := range groups {
		b.WriteString("\n## " + g.title + "\n")
		for _, rule := range g.rules {
			page, err := Rule(rule)
			if err != nil {
				return err
			}
			page.writeMarkdown(&b)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p Page) writeMarkdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n**%s.** %s\n", p.Rule, strings.ToUpper(string(p.Severity[:1]))+string(p.Severity[1:]), sentence(p.Summary))
	for _, paragraph := range p.Why {
		b.WriteString("\n" + wrapTo(documentColumns, paragraph, ""))
	}
	for _, side := range []struct {
		title string
		Side
	}{{"Wrong", p.Wrong}, {"Right", p.Right}} {
		b.WriteString("\n" + side.title + ":\n")
		for _, paragraph := range side.Words {
			b.WriteString("\n" + wrapTo(documentColumns, paragraph, ""))
		}
		for _, block := range side.Blocks {
			b.WriteByte('\n')
			writeBlock(b, block)
		}
	}
}

// writeBlock leaves the file's name out of the fence: what is named there is
// written by the test that runs documents.
func writeBlock(b *strings.Builder, block Block) {
	b.WriteString("```" + block.Language + "\n" + block.Listing() + "```\n")
}
