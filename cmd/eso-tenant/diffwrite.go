package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/diff"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

func (s streams) writeDifference(d *difference, format diffFormat) error {
	var text []byte
	var err error
	switch format {
	case diffJSON:
		text, err = d.json()
	case diffMarkdown:
		text = d.markdown()
	case diffText:
		text = d.text(s.outStyle())
	}
	if err == nil {
		_, err = s.out.Write(text)
	}
	return err
}

// mark says what happens to a line's subject.
type mark string

const (
	gained  mark = "+"
	lost    mark = "-"
	changed mark = "~"
	part    mark = " " // of the line above
)

// line is one line of the report, safe for a terminal.
type line struct {
	mark
	text string
}

// headline says what the difference comes to.
func (d *difference) headline() string {
	shift := &d.power
	var counts []string
	count := func(n int, text string) {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, text))
		}
	}
	count(len(verify.Sentences(shift.Gained)), "gained")
	count(len(verify.Sentences(shift.Lost)), "lost")
	count(len(shift.Appeared), "newly found")
	count(len(shift.Gone), "no longer found")
	switch list := strings.Join(counts, ", "); {
	case shift.Grows():
		return "power grows: " + list
	case shift.Empty():
		return "power is the same"
	default:
		return "power does not grow: " + list
	}
}

// objectLine counts the objects that differ.
func (d *difference) objectLine() string {
	count := map[diff.Op]int{}
	for _, c := range d.objects {
		count[c.Op]++
	}
	var counts []string
	for _, op := range []diff.Op{diff.Added, diff.Removed, diff.Changed} {
		if count[op] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", count[op], op))
		}
	}
	if len(counts) == 0 {
		return "objects are the same"
	}
	return "objects: " + strings.Join(counts, ", ")
}

// powerLines say what changes in power, what is gained first.
func (d *difference) powerLines() []line {
	var lines []line
	for _, sentence := range verify.Sentences(d.power.Gained) {
		lines = append(lines, line{gained, says(sentence, "may now", "is now")})
	}
	for _, f := range d.power.Appeared {
		lines = append(lines, line{gained, finding(f, "now found")})
	}
	for _, sentence := range verify.Sentences(d.power.Lost) {
		lines = append(lines, line{lost, says(sentence, "may no longer", "is no longer")})
	}
	for _, f := range d.power.Gone {
		lines = append(lines, line{lost, finding(f, "no longer found")})
	}
	return lines
}

func says(s verify.Sentence, may, is string) string {
	if s.Kind == verify.RoleRight {
		may = is
	}
	return problem.Clean(ofTenant(s.Tenant) + s.Who + " " + may + " " + s.Does)
}

func finding(f verify.Finding, found string) string {
	return problem.Clean(ofTenant(f.Tenant)+found+": "+f.Says()) + " [" + string(f.Rule) + "], at " + f.Position.String()
}

func ofTenant(name string) string {
	if name == "" {
		return ""
	}
	return "tenant " + name + ": "
}

// objectLines say what changes in objects.
func (d *difference) objectLines() []line {
	var lines []line
	for _, c := range d.objects {
		switch c.Op {
		case diff.Added:
			lines = append(lines, line{gained, c.Ref.String()})
		case diff.Removed:
			lines = append(lines, line{lost, c.Ref.String()})
		case diff.Changed:
			lines = append(lines, line{changed, c.Ref.String()})
			lines = append(lines, fieldLines(c)...)
		}
	}
	return lines
}

func fieldLines(c diff.Change) []line {
	var lines []line
	for _, f := range c.Fields {
		text := "  " + f.Path + ": " + f.Old + " → " + f.New
		switch {
		case f.Old == "":
			text = "  " + f.Path + ": now " + f.New
		case f.Old == f.New:
			text = "  " + f.Path + ": " + f.Old + " differs where it is not shown"
		case f.New == "":
			text = "  " + f.Path + ": no longer " + f.Old
		}
		lines = append(lines, line{part, text})
	}
	if c.More > 0 {
		lines = append(lines, line{part, fmt.Sprintf("  and %d more", c.More)})
	}
	return lines
}

// nothing is what is said where nothing differs.
const nothing = "no difference"

// text is for people at a terminal.
func (d *difference) text(style problem.Style) []byte {
	var b bytes.Buffer
	if d.empty() {
		b.WriteString(nothing + "\n")
		return b.Bytes()
	}
	color := map[mark]string{gained: style.Error, lost: style.Dim}
	b.WriteString(d.headline() + "\n")
	writeLines(&b, d.powerLines(), color, style.Reset)
	color = map[mark]string{changed: style.Warning}
	b.WriteString(d.objectLine() + "\n")
	writeLines(&b, d.objectLines(), color, style.Reset)
	return b.Bytes()
}

func writeLines(w io.Writer, lines []line, color map[mark]string, reset string) {
	for _, l := range lines {
		begin, end := color[l.mark], ""
		if begin != "" {
			end = reset
		}
		fmt.Fprintf(w, "  %s%s %s%s\n", begin, l.mark, l.text, end)
	}
}

// maxComment is how long GitHub lets a comment be, in bytes, with some room for
// what is said around.
const maxComment = 60_000

// markdown is for a comment on a pull request. Whatever is from the input stands
// in code, where it means nothing: no mention, no link, no HTML.
func (d *difference) markdown() []byte {
	var b bytes.Buffer
	if d.empty() {
		fmt.Fprintf(&b, "**eso-tenant**: %s between %s and %s.\n", nothing, code(d.before), code(d.after))
		return b.Bytes()
	}
	fmt.Fprintf(&b, "**eso-tenant**: **%s**; %s (%s → %s)\n", d.headline(), d.objectLine(), code(d.before), code(d.after))
	if power := d.powerLines(); len(power) > 0 {
		b.WriteString("\n")
		codeBlock(&b, power, maxComment/2)
	}
	if objects := d.objectLines(); len(objects) > 0 {
		fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n\n", d.objectLine())
		codeBlock(&b, objects, maxComment-b.Len())
		b.WriteString("\n</details>\n")
	}
	return b.Bytes()
}

// code is a text as a span of code, between more backquotes than are in it.
func code(text string) string {
	text = problem.Clean(text)
	fence := backquotes(text, 0)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// backquotes are more than stand together anywhere in a text, and than least.
func backquotes(text string, least int) string {
	longest, run := least, 0
	for _, r := range text {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}

// codeBlock writes lines in the colours of a diff, up to so many bytes.
func codeBlock(b *bytes.Buffer, lines []line, room int) {
	var text strings.Builder
	for i, l := range lines {
		next := string(l.mark) + " " + l.text + "\n"
		if l.mark == changed {
			next = "! " + l.text + "\n"
		}
		if text.Len()+len(next) > room {
			fmt.Fprintf(&text, "  … and %s more\n", problem.Plural(len(lines)-i, "line"))
			break
		}
		text.WriteString(next)
	}
	fence := backquotes(text.String(), 2)
	fmt.Fprintf(b, "%sdiff\n%s%s\n", fence, text.String(), fence)
}

type jsonDifference struct {
	Before  string       `json:"before"`
	After   string       `json:"after"`
	Grows   bool         `json:"grows"`
	Power   jsonPower    `json:"power"`
	Objects []jsonChange `json:"objects"`
}

type jsonPower struct {
	Gained   []jsonRight   `json:"gained"`
	Lost     []jsonRight   `json:"lost"`
	Appeared []jsonFinding `json:"appeared"`
	Gone     []jsonFinding `json:"gone"`
}

type jsonRight struct {
	Tenant    string           `json:"tenant,omitempty"`
	Who       string           `json:"who"`
	Kind      verify.RightKind `json:"kind"`
	May       string           `json:"may"`
	Verbs     []string         `json:"verbs"`
	Group     string           `json:"group"`
	Resource  string           `json:"resource"`
	Name      string           `json:"name,omitempty"`
	Namespace string           `json:"namespace,omitempty"`
	Meant     bool             `json:"meant"`
}

type jsonFinding struct {
	Tenant   string           `json:"tenant,omitempty"`
	Rule     problem.Rule     `json:"rule"`
	Severity problem.Severity `json:"severity"`
	Message  string           `json:"message"`
	At       string           `json:"at"`
	Because  []string         `json:"because,omitempty"`
	Weaker   bool             `json:"weaker"`
}

type jsonChange struct {
	Op        diff.Op     `json:"op"`
	Group     string      `json:"group"`
	Kind      string      `json:"kind"`
	Namespace string      `json:"namespace,omitempty"`
	Name      string      `json:"name"`
	Fields    []jsonField `json:"fields,omitempty"`
	More      int         `json:"more,omitempty"`
}

type jsonField struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// json is for other programs. Lists are never null.
func (d *difference) json() ([]byte, error) {
	report := jsonDifference{
		Before: d.before, After: d.after, Grows: d.power.Grows(), Objects: []jsonChange{},
		Power: jsonPower{
			Gained: jsonRights(d.power.Gained), Lost: jsonRights(d.power.Lost),
			Appeared: jsonFindings(d.power.Appeared), Gone: jsonFindings(d.power.Gone),
		},
	}
	for _, c := range d.objects {
		one := jsonChange{Op: c.Op, Group: c.Group, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name, More: c.More}
		for _, f := range c.Fields {
			one.Fields = append(one.Fields, jsonField(f))
		}
		report.Objects = append(report.Objects, one)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(report)
	return b.Bytes(), err
}

func jsonRights(rights []verify.Right) []jsonRight {
	all := []jsonRight{}
	for _, s := range verify.Sentences(rights) {
		first := s.Rights[0]
		one := jsonRight{
			Tenant: s.Tenant, Who: s.Who, Kind: s.Kind, May: s.Does, Group: first.Group, Resource: first.Resource,
			Name: first.Name, Namespace: first.Namespace, Meant: first.Meant,
		}
		for _, r := range s.Rights {
			one.Verbs = append(one.Verbs, r.Verb)
		}
		all = append(all, one)
	}
	return all
}

func jsonFindings(findings []verify.Finding) []jsonFinding {
	all := []jsonFinding{}
	for _, f := range findings {
		all = append(all, jsonFinding{
			Tenant: f.Tenant, Rule: f.Rule, Severity: f.SeverityOf(), Message: f.Says(),
			At: f.Position.String(), Because: f.Because, Weaker: f.Weaker,
		})
	}
	return all
}
