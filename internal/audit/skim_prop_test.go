package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// writer writes JSON as no API server does: fields in another order, blanks,
// letters as \u, slashes with backslashes. How much of each is drawn, so that
// much of a line stays as it should be.
type writer struct {
	*rapid.T
	shuffles, blanks, escapes bool
}

func (w writer) seldom(label string) bool { return rapid.IntRange(0, 9).Draw(w.T, label) == 0 }

func (w writer) value(b *bytes.Buffer, text json.RawMessage) {
	switch text[0] {
	case '{':
		w.object(b, text)
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(text, &items); err != nil {
			w.Fatal(err)
		}
		for i, item := range items {
			b.WriteByte("[,"[min(i, 1)])
			w.value(b, item)
		}
		b.WriteString("[]"[min(len(items), 1):])
	case '"':
		w.text(b, text)
	default:
		b.Write(text)
	}
}

func (w writer) text(b *bytes.Buffer, text json.RawMessage) {
	if !w.escapes || !w.seldom("escaped") {
		b.Write(text)
		return
	}
	for i, c := range text {
		switch {
		case i > 0 && text[i-1] == '\\':
			b.WriteByte(c)
		case c == '/':
			b.WriteString(`\/`)
		case c >= 'a' && c <= 'z' && !slices.Contains(text, '\\') && w.seldom("letter"):
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
}

// object writes an object's fields in their order, or in another one.
func (w writer) object(b *bytes.Buffer, text json.RawMessage) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var fields [][2]json.RawMessage
	if _, err := decoder.Token(); err != nil {
		w.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			w.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			w.Fatal(err)
		}
		fields = append(fields, [2]json.RawMessage{json.RawMessage(fmt.Sprintf("%q", name)), value})
	}
	if w.shuffles && len(fields) > 1 && w.seldom("shuffled") {
		fields = rapid.Permutation(fields).Draw(w.T, "order")
	}
	if w.shuffles && len(fields) > 3 && rapid.Bool().Draw(w.T, "moved") { // one field, elsewhere
		from, to := rapid.IntRange(0, len(fields)-1).Draw(w.T, "from"), rapid.IntRange(0, len(fields)-1).Draw(w.T, "to")
		moved := fields[from]
		fields = slices.Insert(slices.Delete(fields, from, from+1), to, moved)
	}
	b.WriteByte('{')
	for i, field := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		blank := func() {
			if w.blanks && w.seldom("blank") {
				b.WriteString(rapid.SampledFrom([]string{" ", "\t", "  "}).Draw(w.T, "blanks"))
			}
		}
		blank()
		w.text(b, field[0])
		blank()
		b.WriteByte(':')
		blank()
		w.value(b, field[1])
	}
	b.WriteByte('}')
}

// decoys are what a hostile requester would have in the log: whatever it chooses
// stands in texts, or in bodies.
var decoys = []string{
	`pods","namespace":"x`, `},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"`, `","stageTimestamp":"2020-01-01T00:00:00.000000Z"}`,
	`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata"`, `"objectRef":{"resource":"pods"`, `\`, `a}`, `\\"`, `\u0041`, `"}}`, `impersonatedUser`,
}

func decoyed(t *rapid.T, line string) string {
	var event map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		t.Fatal(err)
	}
	quoted := func(label string) string {
		text, err := json.Marshal(strings.Join(rapid.SliceOfN(rapid.SampledFrom(decoys), 0, 3).Draw(t, label), ""))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	pairs := []string{
		`"auditID":"`, `"auditID":` + quoted("id"),
		`"requestURI":"`, `"requestURI":` + quoted("uri"),
		`"sourceIPs":["`, `"sourceIPs":[` + quoted("address"),
		`"userAgent":"`, `"userAgent":` + quoted("agent"),
		`"uid":"`, `"uid":` + quoted("uid"),
	}
	for i := 0; i < len(pairs); i += 2 { // what was there follows the decoy
		line = strings.Replace(line, pairs[i], strings.TrimSuffix(pairs[i+1], `"`), 1)
	}
	nested := rapid.SampledFrom([]string{
		``, ``, `,"objectRef":{"resource":"pods","namespace":"a","name":"b"}`, `,"objectRef":{"resource":"pods","namespace":"a","name":"b"},"impersonatedUser":{"username":"c"}`,
		`,"stageTimestamp":"2020-01-01T00:00:00.000000Z","annotations":{"a":"b"}`, `,"verb":"get","items":[{"kind":"Event","apiVersion":"audit.k8s.io/v1"}]`,
	}).Draw(t, "nested")
	switch rapid.IntRange(0, 2).Draw(t, "where") {
	case 0:
		line = strings.Replace(line, `"extra":{`, `"extra":{"x":{"y":1`+nested+`},`, 1)
	case 1:
		line = strings.Replace(line, `"responseStatus":{"metadata":{}`, `"responseStatus":{"metadata":{"a":1`+nested+`}`, 1)
	default:
		line = strings.Replace(line, `"spec":{`, `"x":{"y":1`+nested+`},"spec":{`, 1)
	}
	if !json.Valid([]byte(line)) {
		t.Fatalf("not JSON: %s", line)
	}
	return line
}

// Whoever wrote the JSON, and however: what it says is what encoding/json reads
// in it. Lines are as the API server writes them, or nearly so, since that is
// what the shortcuts are for.
func TestSkimIsExact(t *testing.T) {
	dull, judged := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := writer{t, rapid.Bool().Draw(t, "shuffles"), rapid.Bool().Draw(t, "blanks"), rapid.Bool().Draw(t, "escapes")}
		var text bytes.Buffer
		slow := newTally(strict())
		slow.file = "0.log"
		s := scanner{emit: slow.add}
		log := anyLog(t)
		for i, line := range log {
			b := bytes.Buffer{}
			w.value(&b, json.RawMessage(decoyed(t, strings.TrimSpace(line))))
			text.Write(b.Bytes())
			text.WriteByte('\n')
			e := &event{}
			if err := json.Unmarshal(b.Bytes(), e); err != nil && !strings.Contains(err.Error(), "requestObject") {
				t.Fatalf("%v: %s", err, b.Bytes())
			}
			s.take(i+1, e)
		}
		want := &Report{Coverage: s.coverage}
		slow.conclude(want)
		got := propRead(t, strict(), text.String())
		if diff := cmp.Diff(told(want), told(got)); diff != "" {
			t.Errorf("%s\n(-encoding/json +skim):\n%s", text.String(), diff)
		}
		if got.Coverage.Events != want.Coverage.Events || !got.Coverage.First.Equal(want.Coverage.First) || !got.Coverage.Last.Equal(want.Coverage.Last) {
			t.Errorf("%s\nread %+v, want %+v", text.String(), got.Coverage, want.Coverage)
		}
		// As the API server writes them, dull lines are passed over.
		plain := propRead(t, strict(), strings.Join(log, "\n")).Coverage
		dull += plain.Events - plain.Decoded
		judged += got.Coverage.Decoded
	})
	if dull == 0 || judged == 0 {
		t.Errorf("%d passed over, %d decoded: one of both was not tried", dull, judged)
	}
}
