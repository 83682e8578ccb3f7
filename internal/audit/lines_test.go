package audit

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Whatever stands on a line is counted under one heading, and what can be read
// is.
func TestLines(t *testing.T) {
	event := strings.TrimSuffix(text(minted(operator.Username(), fenced, `["vault"]`)), "\n")
	other := strings.TrimSuffix(at(5).line(minted("alice", fenced, `["vault"]`)), "\n")
	bare := strings.Replace(event, `"kind":"Event","apiVersion":"audit.k8s.io/v1",`, "", 1)
	tests := map[string]struct {
		log  string
		want string // given, and what is not zero of the coverage
	}{
		"an event":                   {event + "\n", "1"},
		"without a line's end":       {event, "1"},
		"Windows's line ends":        {event + "\r\n" + event + "\r\n", "1 duplicates 1"},
		"empty lines":                {"\n\n" + event + "\n \t\n", "1 empty 3"},
		"a byte order mark":          {"\ufeff" + event, "1"},
		"words":                      {"I am a log\n" + event, "1 notJSON 1"},
		"JSON of another kind":       {`{"a":"b"}` + "\n" + event, "1 other 1"},
		"another object":             {`{"kind":"Policy","apiVersion":"audit.k8s.io/v1"}` + "\n" + event, "1 other 1"},
		"no object":                  {"[]\n1\nnull\n" + event, "1 notJSON 3"},
		"cut short":                  {event[:len(event)/2] + "\n" + event, "1 truncated 1"},
		"cut short, at a brace":      {event[:strings.Index(event, `}`)+1] + "\n" + event, "1 notJSON 1"},
		"two on a line":              {event + other, "2"},
		"two in each other":          {event[:200] + other + "\n", "1 truncated 1"},
		"an event inside another":    {text(changed(minted(operator.Username(), fenced, `["vault"]`), func(e *logged) { e.request = other })), "1"},
		"a prefix":                   {"2026-11-24T10:00:00.000Z stdout F " + event, "1"},
		"a list":                     {`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + bare + `,` + bare + `]}`, "1 duplicates 1"},
		"a list of events with kind": {`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + event + `,` + other + `]}`, "2"},
		"an empty list":              {`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}` + "\n" + event, "1"},
		"another order of fields":    {`{"stage":"ResponseComplete","apiVersion":"audit.k8s.io/v1","kind":"Event",` + strings.Replace(bare[1:], `"stage":"ResponseComplete",`, "", 1), "1"},
		"blanks":                     {strings.NewReplacer(`":"`, `": "`, `,"`, `, "`).Replace(event), "1"},
		"no time":                    {strings.ReplaceAll(event, "2026-11-01T10:00:00.000000Z", ""), "1 timeless 1"},
		"a time of a kind":           {strings.ReplaceAll(event, "2026-11-01T10:00:00.000000Z", "2026-11-01T11:00:00+01:00"), "1"},
		"wrong types":                {strings.Replace(event, `"verb":"create"`, `"verb":["create"]`, 1), "0 notJSON 1"},
		"a body of another type":     {strings.Replace(event, `"audiences":["vault"]`, `"audiences":{"a":1}`, 1), "1"},
		"a body that is a list":      {text(changed(minted(operator.Username(), fenced, `[]`), func(e *logged) { e.request = `[{"op":"add"}]` })), "1"},
		"too long":                   {`{"a":"` + strings.Repeat("x", maxLine) + "\"}\n" + event, "1 tooLong 1"},
		"long":                       {strings.Replace(event, `"userAgent":"`, `"userAgent":"`+strings.Repeat("x", 3*chunk), 1), "1"},
		"zeros":                      {strings.Repeat("\x00", 1000) + "\n" + event, "1 notJSON 1"},
		"back in time":               {at(3600e9).line(logged{verb: "get"}) + event, "1 backwards 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := read(t, &Input{}, test.log)
			if got := counted(report); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if report.Coverage.Skipped() > 0 != strings.Contains(lines(report.Problems), "[audit-log-incomplete]") && report.Coverage.OtherKinds == 0 {
				t.Errorf("skipped %d, reported %s", report.Coverage.Skipped(), lines(report.Problems))
			}
			if want := int64(len(test.log)); report.Coverage.Bytes < want-4 || report.Coverage.Bytes > want+1 {
				t.Errorf("%d bytes of %d", report.Coverage.Bytes, want)
			}
		})
	}
}

// counted is how many tokens were given, and the counts that are not zero.
func counted(r *Report) string {
	given := 0
	for _, row := range r.Rows {
		given += row.Given
	}
	out := fmt.Sprint(given)
	c := r.Coverage
	for _, one := range []struct {
		name string
		n    int
	}{
		{"duplicates", c.Duplicates},
		{"empty", c.Empty},
		{"notJSON", c.NotJSON},
		{"truncated", c.Truncated},
		{"tooLong", c.TooLong},
		{"other", c.OtherKinds},
		{"timeless", c.Timeless},
		{"backwards", c.Backwards},
		{"outside", c.Outside},
	} {
		if one.n > 0 {
			out += fmt.Sprintf(" %s %d", one.name, one.n)
		}
	}
	return out
}

func packed(t *testing.T, kind, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if kind == "zstd" {
		encoder, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = encoder
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What a log is packed with, its bytes say. A packed log that ends in the middle
// counts as far as it goes, and is an error.
func TestPacked(t *testing.T) {
	log := text(minted("alice", fenced, `["vault"]`), minted("bob", fenced, `["vault"]`))
	for _, kind := range []string{"gzip", "zstd"} {
		whole := packed(t, kind, log)
		if report := read(t, &Input{}, string(whole)); counted(report) != "2" || len(report.Problems) > 0 {
			t.Errorf("%s: %s %s", kind, counted(report), lines(report.Problems))
		}
		if report := read(t, &Input{}, string(whole)+string(whole)); counted(report) != "2 duplicates 2" {
			t.Errorf("%s twice: %s", kind, counted(report))
		}
		for _, wrong := range [][]byte{whole[:len(whole)-6], whole[:12], append(bytes.Clone(whole), "rest"...)} {
			report := read(t, &Input{}, string(wrong))
			if report.Problems.Errors() == 0 || !strings.Contains(lines(report.Problems), "0.log: this cannot be read to its end: ") {
				t.Errorf("%s, %d bytes: %s", kind, len(wrong), lines(report.Problems))
			}
		}
	}
}

func TestUTF16(t *testing.T) {
	for _, big := range []bool{true, false} {
		var b bytes.Buffer
		for _, unit := range utf16.Encode([]rune("\ufeff" + text(minted("alice", fenced, `["vault"]`)))) {
			pair := []byte{byte(unit >> 8), byte(unit)}
			if !big {
				pair[0], pair[1] = pair[1], pair[0]
			}
			b.Write(pair)
		}
		for _, text := range []string{b.String(), b.String()[2:]} { // and without the byte order mark
			report := read(t, &Input{}, text)
			if got := lines(report.Problems); !strings.HasPrefix(got, "0.log: this is UTF-16") || report.Problems[0].Rule != problem.SourceUnreadable {
				t.Error(got)
			}
		}
	}
}

// A stream gives the same lines in whichever pieces it comes.
func TestSplitter(t *testing.T) {
	const stream = "a\n\nbcd\r\nlast"
	for size := 1; size <= len(stream); size++ {
		var got []string
		s := splitter{line: func(n int, data []byte) { got = append(got, fmt.Sprint(n, string(data))) }}
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			s.feed([]byte(rest[:n]))
			rest = rest[n:]
		}
		s.finish()
		if want := "1a|2|3bcd\r|4last"; strings.ReplaceAll(strings.Join(got, "|"), " ", "") != want {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		text(minted(operator.Username(), fenced, `["vault"]`)), text(logged{verb: "get", uri: "/healthz"}), `{"kind":"EventList","items":[{}]}`,
		`{"kind":"Event","apiVersion":"audit.k8s.io/v1"{"kind":"Event","apiVersion":"audit.k8s.io/v1"}`, "\x00", "{}", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","stageTimestamp":}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tally := newTally(expected())
		s := scanner{emit: tally.add}
		split := splitter{line: s.line, tooLong: s.tooLong}
		split.feed(data)
		split.finish()
		c := s.coverage
		if want := bytes.Count(data, []byte("\n")); c.Lines != want && c.Lines != want+1 {
			t.Errorf("%d lines of %d", c.Lines, want)
		}
		if c.Empty+c.Skipped() > c.Lines+c.Events+bytes.Count(data, []byte("{")) || c.Decoded > c.Events {
			t.Errorf("%+v", c)
		}
		report := &Report{Coverage: c}
		tally.conclude(report)
	})
}
