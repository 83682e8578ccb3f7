package audit

import "bytes"

// key is a text of an event that is looked for in every line. It is found by a
// byte that is rare in events, since looking for a quote would stop everywhere.
type key struct {
	text string
	rare int // where the rare byte is
}

var (
	refKey          = key{`"objectRef"`, len(`"object`)}
	impersonatedKey = key{`"impersonatedUser"`, len(`"impersonated`)}
	stageKey        = key{`"stageTimestamp":"`, len(`"sta`)}
	legacyKey       = key{"legacy-token", len("le")}
	escaped         = key{`\u`, 0}
)

// in is where the key stands first, or -1.
func (k key) in(b []byte) int {
	rare := k.text[k.rare]
	for from := k.rare; from < len(b); {
		i := bytes.IndexByte(b[from:], rare)
		if i < 0 {
			return -1
		}
		start := from + i - k.rare
		if end := start + len(k.text); end <= len(b) && string(b[start:end]) == k.text {
			return start
		}
		from += i + 1
	}
	return -1
}

// skim tells whether a line is one event that says nothing of what is judged
// here, and its time in microseconds, without decoding it. Of JSON whose names
// are written once it never says so wrongly: what is not just as the API server
// writes it (the order of fields is that of the type Event in k8s.io/apiserver,
// pkg/apis/audit/v1/types.go), in the part that decides, is left to the decoder.
//
// Quotes within JSON's strings are escaped, so that a name with its quotes is
// none of what a requester chose; it may still stand inside of a body. Only \u
// writes a letter in another way.
func (s *scanner) skim(line []byte) (at int64, dull bool) {
	level, verb, begin := opening(line)
	if begin < 0 {
		return 0, false
	}
	size := s.clients.known(line[begin:])
	if size > 0 {
		resource := line[begin+size:]
		if stage := bodiless(resource); stage >= 0 {
			at, _, ok := s.clock.ending(resource[stage:])
			return at, ok && !interesting(resource, level, verb)
		}
	}
	at, end, annotated, ok := s.clock.closing(line, begin+size)
	if !ok {
		return 0, false
	}
	middle := line[begin+size : end]
	switch {
	case nextEvent.in(middle) >= 0, impersonatedKey.in(middle) >= 0, escaped.in(middle) >= 0:
		return 0, false
	case !annotated && legacyKey.in(middle) >= 0: // annotations may stand elsewhere
		return 0, false
	}
	i := refKey.in(middle)
	switch {
	case size > 0: // it was behind the client
		return at, i < 0 && !interesting(middle, level, verb)
	case i < 0:
		return at, true // it is of no resource
	}
	i += len(refKey.text)
	resource, named := bytes.CutPrefix(middle[i:], resourceKey)
	if !named || refKey.in(resource) >= 0 { // which one is the event's?
		return 0, false
	}
	s.clients.learn(middle[:i+len(resourceKey)])
	return at, !interesting(resource, level, verb)
}

// What events begin with, and most events, and what these have behind their ID.
const (
	eventStartV1 = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"`
	commonStart  = eventStartV1 + `Metadata","auditID":"`
	commonStage  = `,"stage":"ResponseComplete","requestURI":"`
)

// opening reads an event's level and verb, and where its user begins, or -1.
func opening(line []byte) (level, verb []byte, at int) {
	if _, at = field(line, 0, commonStart); at >= 0 {
		level = metadata
	} else {
		level, at = field(line, 0, eventStartV1)
		switch string(level) {
		case "Metadata", "Request", "RequestResponse":
			_, at = field(line, at, `,"auditID":"`)
		default:
			return nil, nil, -1
		}
	}
	_, behind := field(line, at, commonStage)
	if behind < 0 {
		_, behind = field(line, at, `,"stage":"`)
		_, behind = field(line, behind, `,"requestURI":"`)
	}
	verb, at = field(line, behind, `,"verb":"`)
	return level, verb, at
}

var metadata = []byte("Metadata")

// field reads a string behind its name, and where that ends, or -1. It takes
// none that ends with a backslash.
func field(line []byte, at int, name string) (text []byte, end int) {
	begin := at + len(name)
	if at < 0 || begin > len(line) || string(line[at:begin]) != name {
		return nil, -1
	}
	size := bytes.IndexByte(line[begin:], '"')
	if size < 0 || line[begin+size-1] == '\\' {
		return nil, -1
	}
	return line[begin : begin+size], begin + size + 1
}

// quoteEnd is where a string that begins here ends, or -1: stringEnd, of bytes.
func quoteEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for at := 1; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return -1
		}
		if at += i + 1; closes(b, at-1) {
			return at
		}
	}
}

// closes tells whether a quote ends a string that begins before it: no odd
// number of backslashes stands in front of it.
func closes[text string | []byte](b text, quote int) bool {
	escapes := 0
	for b[quote-1-escapes] == '\\' {
		escapes++
	}
	return escapes%2 == 0
}

// interesting tells whether an event may say something, by its verb, and by its
// object's resource, which is what ref begins with.
func interesting(ref, level, verb []byte) bool {
	resource := ref[:max(0, bytes.IndexByte(ref, '"'))]
	if bytes.IndexByte(resource, '\\') >= 0 {
		return true
	}
	switch string(resource) {
	case "serviceaccounts", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings":
		return writes(verb)
	case "secrets":
		return writes(verb) || string(level) == "RequestResponse"
	case "tokenreviews":
		return string(level) != "Metadata"
	default:
		return false
	}
}

var resourceKey = []byte(`:{"resource":"`)

// prefix is what the names of our own objects begin with.
const prefix = "eso-tenant-"

// writes tells whether the verb is one that changes something, or is not
// written plainly.
func writes(verb []byte) bool {
	switch string(verb) {
	case "get", "list", "watch":
		return false
	default:
		return true
	}
}
