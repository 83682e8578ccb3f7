package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// anyEvent is an event that may matter.
func anyEvent(t *rapid.T) logged {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	e := logged{
		groups: `"g"`, level: pick("level", "Metadata", "Request", "RequestResponse"), verb: pick("verb", "create", "get", "list", "update", "patch", "delete", "deletecollection"),
		user: pick("user", operator.Username(), fenced.Username(), "alice", "system:node:n1", flux, controllers), agent: pick("agent", "a", "kcm/tokens-controller"),
		as:        pick("as", "", "", "", operator.Username(), "bob"),
		resource:  pick("resource", "", "serviceaccounts", "secrets", "roles", "clusterrolebindings", "validatingadmissionpolicies", "pods", "tokenreviews"),
		namespace: pick("namespace", "web", "kube-system", ""), name: pick("name", fenced.Name, "eso-tenant-writes", "x"),
		code:        rapid.SampledFrom([]int{200, 201, 403, 422, 500}).Draw(t, "code"),
		stage:       pick("stage", "ResponseComplete", "ResponseComplete", "RequestReceived", "Panic"),
		uri:         pick("uri", "/x", `/x?a="objectRef":{"resource":"pods"`, "/x?dryRun=All"),
		annotations: pick("annotations", "", "", `,"authentication.k8s.io/legacy-token-manual-secret":"s"`),
		request: pick(
			"request", "", `{"spec":{"audiences":["vault"]}}`, `{"spec":{"audiences":[]},"x":{"stageTimestamp":"2020-01-01T00:00:00.000000Z","objectRef":{"resource":"pods"}}}`,
			`{"type":"kubernetes.io/service-account-token","data":{"a":"b"}}`, `{"spec":{"token":"x"}}`,
		),
		response: pick("response", "", "", `{"status":{"token":"x"}}`, `{"items":[{"data":{"a":"b"}}]}`),
	}
	if e.level == "Metadata" || !writes([]byte(e.verb)) { // a read has no body
		e.request = ""
	}
	if e.level != "RequestResponse" {
		e.response = ""
	}
	if e.resource == "serviceaccounts" && rapid.Bool().Draw(t, "token") {
		e.subresource, e.verb = "token", "create"
	}
	return e
}

// anyLog is the lines of a log, each of another time.
func anyLog(t *rapid.T) []string {
	var all []string
	for i, e := range rapid.SliceOfN(rapid.Custom(anyEvent), 1, 20).Draw(t, "events") {
		all = append(all, at(time.Duration(i)*time.Hour).line(e))
	}
	return all
}

// told is what a report tells, without where it stands and how much was read.
func told(r *Report) string {
	r.Problems = slices.Clone(r.Problems)
	for i := range r.Problems {
		if r.Problems[i].Rule != problem.AuditUnused {
			r.Problems[i].Position = problem.Position{}
		}
	}
	return fmt.Sprintf("%+v\n%+v\n%s%q", r.Rows, r.Kubelets, lines(r.Problems), r.Notes)
}

func propRead(t *rapid.T, in *Input, logs ...string) *Report {
	var sources []Source
	for i, log := range logs {
		sources = append(sources, source(fmt.Sprintf("%d.log", i), log))
	}
	report, err := Read(t.Context(), sources, in)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func strict() *Input {
	in := expected()
	in.UnusedAfter = 5 * time.Hour
	return in
}

// Into how many files a log is cut, in which order these are read, and how often
// an event stands in them changes nothing.
func TestShardsAndDuplicates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := anyLog(t)
		want := told(propRead(t, strict(), strings.Join(log, "")))
		shards := make([]string, rapid.IntRange(1, 4).Draw(t, "shards"))
		for _, line := range rapid.Permutation(append(slices.Clone(log), log[:rapid.IntRange(0, len(log)).Draw(t, "again")]...)).Draw(t, "order") {
			shards[rapid.IntRange(0, len(shards)-1).Draw(t, "shard")] += line
		}
		shards = slices.DeleteFunc(shards, func(s string) bool { return s == "" })
		if diff := cmp.Diff(want, told(propRead(t, strict(), shards...))); diff != "" {
			t.Errorf("(-one file +shards):\n%s", diff)
		}
	})
}

// reordered is an event with its fields in another order than the API server's.
func reordered(t *rapid.T, line string) string {
	var event map[string]any
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted) + "\n"
}

// A window leaves out what is not in it, and changes nothing else.
func TestWindowIsFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := anyLog(t)
		if rapid.Bool().Draw(t, "reordered") {
			for i := range log {
				log[i] = reordered(t, log[i])
			}
		}
		from := rapid.IntRange(0, len(log)-1).Draw(t, "from")
		to := rapid.IntRange(from, len(log)-1).Draw(t, "to")
		in := strict()
		in.Window = Window{Since: start0.Add(time.Duration(from) * time.Hour), Until: start0.Add(time.Duration(to) * time.Hour)}
		report := propRead(t, in, strings.Join(log, ""))
		if report.Coverage.Outside != len(log)-(to-from+1) {
			t.Errorf("%d outside, of %d with %d to %d inside", report.Coverage.Outside, len(log), from, to)
		}
		if diff := cmp.Diff(told(propRead(t, strict(), strings.Join(log[from:to+1], ""))), told(report)); diff != "" {
			t.Errorf("(-filtered +window):\n%s", diff)
		}
	})
}

// What is not decoded is of no interest: written in another order of fields, all
// lines are decoded, and give the same.
func TestPrefilterLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := anyLog(t)
		var slow strings.Builder
		for _, line := range log {
			slow.WriteString(reordered(t, line))
		}
		all := propRead(t, strict(), slow.String())
		if all.Coverage.Decoded != len(log) {
			t.Fatalf("decoded %d of %d", all.Coverage.Decoded, len(log))
		}
		if diff := cmp.Diff(told(all), told(propRead(t, strict(), strings.Join(log, "")))); diff != "" {
			t.Errorf("(-all decoded +prefilter):\n%s", diff)
		}
	})
}

// A time of the API server's own form is read as the standard library does.
func TestParseTime(t *testing.T) {
	var c clock
	rapid.Check(t, func(t *rapid.T) {
		want := time.UnixMicro(rapid.Int64Range(-1e15, 4e15).Draw(t, "micros")).UTC()
		if rapid.Bool().Draw(t, "same minute") {
			want = time.UnixMicro(c.start + rapid.Int64Range(0, 59_999_999).Draw(t, "within")).UTC()
		}
		text := want.Format("2006-01-02T15:04:05.000000Z07:00")
		if got, ok := c.parse([]byte(text)); !ok || got != want.UnixMicro() {
			t.Errorf("%s: %d %t, want %d", text, got, ok, want.UnixMicro())
		}
	})
	for _, text := range []string{"", "2026", "2026-11-24T10:00:00.00000xZ", "2026/11/24T10:00:00.000000Z", strings.Repeat("1", 100)} {
		if _, ok := c.parse([]byte(text)); ok {
			t.Errorf("%q is a time", text)
		}
	}
}
