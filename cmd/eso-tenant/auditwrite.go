package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/audit"
	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// reportAudit writes what an audit log says: its problems as any command's, and
// for people a table and how much was read.
func (r *reporter) reportAudit(result *audit.Report) error {
	r.audit = auditJSON(result)
	var table bytes.Buffer
	switch r.format {
	case formatCSV:
		if err := writeAuditCSV(&table, result.Rows); err != nil {
			return failed(fmt.Errorf("writing output: %w", err))
		}
	case format.Text:
		writeAuditText(&table, result)
	default:
	}
	if _, err := r.out.Write(table.Bytes()); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	if r.format == formatCSV {
		people := reporter{streams: r.streams, format: format.Text, severity: r.severity}
		return people.report(result.Problems, nil)
	}
	return r.report(result.Problems, nil)
}

// maxShown is how many rows people are shown. CSV and JSON have all.
const maxShown = 50

func writeAuditText(w io.Writer, result *audit.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(result.Rows) > 0 {
		fmt.Fprintln(table, "REQUESTER\tSERVICE ACCOUNT\tGIVEN\tREFUSED\tFIRST\tLAST\tLIFETIME\tAUDIENCES\tALLOWED BY")
	}
	for i := range result.Rows {
		if i == maxShown {
			break
		}
		row := &result.Rows[i]
		fmt.Fprintln(table, strings.Join([]string{
			requesterName(row), accountName(row), strconv.Itoa(row.Given), strconv.Itoa(row.Refused), moment(row.First), moment(row.Last), lifetime(row), audiences(row), allowedBy(row),
		}, "\t"))
	}
	_ = table.Flush()
	if rest := len(result.Rows) - maxShown; rest > 0 {
		fmt.Fprintf(w, "… and %s; --format csv or json has all\n", problem.Plural(rest, "more row"))
	}
	if k := result.Kubelets; k.Given+k.Refused > 0 {
		fmt.Fprintf(w, "kubelets: %s given to %s for pods, of %s; %d refused\n", problem.Plural(k.Given, "token"), problem.Plural(k.Nodes, "node"), problem.Plural(k.Accounts, "service account"), k.Refused)
	}
	writeCoverage(w, &result.Coverage)
	for _, note := range result.Notes {
		fmt.Fprintln(w, "note: "+problem.Clean(note))
	}
}

// requesterName names ESO's service accounts short.
func requesterName(row *audit.Row) string {
	name := problem.Clean(row.Requester)
	if row.Class == audit.ESO {
		name = "ESO " + strings.TrimPrefix(name, "system:serviceaccount:")
	}
	if row.As != "" {
		name += " as " + problem.Clean(row.As)
	}
	return name
}

func accountName(row *audit.Row) string {
	name := problem.Clean(row.Account.String())
	if row.Fenced {
		name += " (fenced)"
	}
	return name
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Format("2006-01-02T15:04:05Z")
}

func lifetime(row *audit.Row) string {
	if row.Longest == 0 {
		return "-"
	}
	short, long := audit.Length(time.Duration(row.Shortest)*time.Second), audit.Length(time.Duration(row.Longest)*time.Second)
	if short == long {
		return short
	}
	return short + " to " + long
}

func audiences(row *audit.Row) string {
	const shown = 4
	names := row.Audiences[:min(shown, len(row.Audiences))]
	text := problem.Clean(strings.Join(names, ","))
	if rest := len(row.Audiences) - shown; rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	if row.Unknown > 0 {
		text = strings.TrimPrefix(text+",not logged", ",")
	}
	if text == "" {
		return "-"
	}
	return text
}

// allowedBy names the bindings that the API server gave as reasons.
func allowedBy(row *audit.Row) string {
	if len(row.Bindings) == 0 {
		return "-"
	}
	first := strings.TrimPrefix(row.Bindings[0], "RBAC: allowed by ")
	if binding, _, found := strings.Cut(first, " of "); found {
		first = binding
	}
	if rest := len(row.Bindings) - 1; rest > 0 {
		first += fmt.Sprintf(" and %d more", rest)
	}
	return problem.Clean(first)
}

func writeCoverage(w io.Writer, c *audit.Coverage) {
	fmt.Fprintf(w, "read %s, %d bytes, of %s: %s", problem.Plural(c.Lines, "line"), c.Bytes, problem.Plural(c.Files, "file"), problem.Plural(c.Events, "event"))
	if !c.First.IsZero() {
		fmt.Fprintf(w, " from %s to %s", moment(c.First), moment(c.Last))
	}
	fmt.Fprintf(w, "; %d decoded\n", c.Decoded)
	for _, one := range []struct {
		n    int
		says string
	}{
		{c.Duplicates, "read before, counted once"},
		{c.Stages, "of requests before their answer, not counted"},
		{c.Outside, "outside of --since and --until"},
		{c.Backwards, "more than a minute older than one before: a clock jumped, or the log is out of order"},
		{c.Timeless, "without a time"},
		{c.NotJSON, "skipped: no JSON"},
		{c.Truncated, "skipped: cut short"},
		{c.TooLong, "skipped: too long"},
		{c.OtherKinds, "skipped: of other kinds than audit events"},
		{c.Rotations, "times that a rotated log was followed"},
		{c.Cuts, "times that the log was emptied"},
	} {
		if one.n > 0 {
			fmt.Fprintf(w, "  %d %s\n", one.n, one.says)
		}
	}
}

// writeAuditCSV writes the table as CSV (RFC 4180). A spreadsheet takes what
// begins with = for a formula, so foreign text never does.
func writeAuditCSV(w io.Writer, rows []audit.Row) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"class", "requester", "acting_as", "namespace", "service_account", "fenced", "given", "refused", "first", "last", "lifetime_min_seconds", "lifetime_max_seconds", "audiences", "audiences_not_logged", "bindings"})
	for i := range rows {
		r := &rows[i]
		_ = out.Write([]string{ // Error says whether one failed
			string(r.Class), cell(r.Requester), cell(r.As), cell(r.Account.Namespace), cell(r.Account.Name), strconv.FormatBool(r.Fenced),
			strconv.Itoa(r.Given), strconv.Itoa(r.Refused), stated(r.First), stated(r.Last), strconv.FormatInt(r.Shortest, 10), strconv.FormatInt(r.Longest, 10),
			cell(strings.Join(r.Audiences, " ")), strconv.Itoa(r.Unknown), cell(strings.Join(r.Bindings, "; ")),
		})
	}
	out.Flush()
	return out.Error()
}

func cell(text string) string {
	text = problem.Clean(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

// stated is a time for machines, "" where there is none.
func stated(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// The JSON of an audit. docs/audit.md describes it.
type auditReport struct {
	Requests []auditRequests `json:"requests"`
	Kubelets struct {
		Given    int `json:"given"`
		Refused  int `json:"refused"`
		Nodes    int `json:"nodes"`
		Accounts int `json:"serviceAccounts"`
	} `json:"kubelets"`
	Coverage auditCoverage `json:"coverage"`
	Notes    []string      `json:"notes,omitempty"`
}

type auditRequests struct {
	Class     audit.Class `json:"class"`
	Requester string      `json:"requester"`
	As        string      `json:"actingAs,omitempty"`
	Namespace string      `json:"namespace"`
	Name      string      `json:"serviceAccount"`
	Fenced    bool        `json:"fenced"`
	Given     int         `json:"given"`
	Refused   int         `json:"refused"`
	First     string      `json:"first,omitempty"`
	Last      string      `json:"last,omitempty"`
	Shortest  int64       `json:"lifetimeMinSeconds,omitempty"`
	Longest   int64       `json:"lifetimeMaxSeconds,omitempty"`
	Audiences []string    `json:"audiences,omitempty"`
	Unknown   int         `json:"audiencesNotLogged,omitempty"`
	Bindings  []string    `json:"bindings,omitempty"`
}

type auditCoverage struct {
	Files      int    `json:"files"`
	Lines      int    `json:"lines"`
	Bytes      int64  `json:"bytes"`
	Events     int    `json:"events"`
	Decoded    int    `json:"decoded"`
	Duplicates int    `json:"duplicates"`
	Unanswered int    `json:"beforeAnswer"`
	Outside    int    `json:"outsideWindow"`
	Backwards  int    `json:"outOfOrder"`
	Timeless   int    `json:"withoutTime"`
	NotJSON    int    `json:"notJSON"`
	Truncated  int    `json:"truncated"`
	TooLong    int    `json:"tooLong"`
	OtherKinds int    `json:"otherKinds"`
	Rotations  int    `json:"rotations,omitempty"`
	Cuts       int    `json:"emptied,omitempty"`
	First      string `json:"first,omitempty"`
	Last       string `json:"last,omitempty"`
}

func auditJSON(result *audit.Report) *auditReport {
	c := &result.Coverage
	report := &auditReport{Requests: []auditRequests{}, Notes: result.Notes, Coverage: auditCoverage{
		Files: c.Files, Lines: c.Lines, Bytes: c.Bytes, Events: c.Events, Decoded: c.Decoded, Duplicates: c.Duplicates, Unanswered: c.Stages,
		Outside: c.Outside, Backwards: c.Backwards, Timeless: c.Timeless, NotJSON: c.NotJSON, Truncated: c.Truncated, TooLong: c.TooLong, OtherKinds: c.OtherKinds,
		Rotations: c.Rotations, Cuts: c.Cuts, First: stated(c.First), Last: stated(c.Last),
	}}
	k := result.Kubelets
	report.Kubelets.Given, report.Kubelets.Refused, report.Kubelets.Nodes, report.Kubelets.Accounts = k.Given, k.Refused, k.Nodes, k.Accounts
	for i := range result.Rows {
		r := &result.Rows[i]
		report.Requests = append(report.Requests, auditRequests{
			Class: r.Class, Requester: problem.Clean(r.Requester), As: problem.Clean(r.As), Namespace: problem.Clean(r.Account.Namespace), Name: problem.Clean(r.Account.Name),
			Fenced: r.Fenced, Given: r.Given, Refused: r.Refused, First: stated(r.First), Last: stated(r.Last), Shortest: r.Shortest, Longest: r.Longest,
			Audiences: cleaned(r.Audiences), Unknown: r.Unknown, Bindings: cleaned(r.Bindings),
		})
	}
	return report
}

func cleaned(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, problem.Clean(text))
	}
	return all
}
