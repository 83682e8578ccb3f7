package audit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is read without encoding/json is what encoding/json reads.
func sameAsJSON(t rapid.TB, line []byte) (plainly bool) {
	got, ok := decodePlain(line)
	if !ok {
		return false
	}
	want := &event{}
	if err := json.Unmarshal(line, want); err != nil {
		return true // broken where nothing is read
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
		t.Errorf("%s\n(-json +walk):\n%s", line, diff)
	}
	return true
}

func TestWalkIsJSON(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t)
		e.agent = rapid.SampledFrom([]string{`a"b\c`, "é", "<&>", "\n", "\xff", `}{`}).Draw(t, "agent")
		if rapid.Bool().Draw(t, "body") {
			e.request = rapid.SampledFrom([]string{
				`{"metadata":{"creationTimestamp":null},"spec":{"audiences":["a","b\"c"],"expirationSeconds":600,"boundObjectRef":{"kind":"Pod"}},"status":{"token":"","expirationTimestamp":null}}`,
				`{"spec":{"audiences":["a",1]}}`, `{"spec":{"audiences":null,"expirationSeconds":-5}}`, `{"spec":{"audiences":["\u00e9"]}}`, `{"status":{"token":null}}`, `null`, `[1]`, `{"a":{"b":[{}]}}`,
			}).Draw(t, "of")
		}
		if sameAsJSON(t, []byte(at(0).line(e)[:len(at(0).line(e))-1])) {
			seen++
		}
	})
	if seen == 0 {
		t.Error("nothing was read plainly")
	}
}

func FuzzWalk(f *testing.F) {
	for _, e := range []logged{minted(operator.Username(), fenced, `["vault","x\\"]`), {verb: "get", uri: "/healthz", as: "bob"}} {
		line := at(0).line(e)
		line = line[:len(line)-1]
		f.Add([]byte(line))
		f.Add([]byte(strings.Replace(line, "username", "uSername", 1)))               // found by fuzzing
		f.Add([]byte(strings.Replace(line, "k8s.io/reason", "k8\x91s.io/reason", 1))) // this, too
	}
	f.Fuzz(func(t *testing.T, line []byte) { sameAsJSON(t, line) })
}
