package audit

import "bytes"

// key is a text of an event that is looked for in every line. It is found by a
// byte that is rare in events, since looking for a quote would stop everywhere.
type key struct {
	text string
	rare int // where the rare byte is
}

var (
	refKey          = key{`"objectRef":{`, len(`"object`)}
	impersonatedKey = key{`"impersonatedUser":{`, len(`"impersonated`)}
	stageKey        = key{`"stageTimestamp"`, len(`"stage`)}
	verbKey         = key{`"verb":"`, len(`"`)}
	levelKey        = key{`"level":"RequestResponse"`, len(`"level":"`)}
	bodyKey         = key{`"level":"Request`, len(`"level":"`)} // and longer
	legacyKey       = key{"legacy-token", len("legac")}
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

var (
	resourceKey = []byte(`"resource":"`)
	tokenRef    = []byte(`"subresource":"token"`)
	ourName     = []byte(`"name":"` + prefix)
	deletesAll  = []byte("deletecollection")
)

// prefix is what the names of our own objects begin with.
const prefix = "eso-tenant-"

// interesting tells whether an event may say something, without decoding it. The
// event is in the API server's order of fields, which is that of the type Event
// (k8s.io/apiserver, pkg/apis/audit/v1/types.go): what a requester chooses stands
// in strings, where quotes are escaped, or behind objectRef. where is that of
// the stage's time, behind which are only annotations.
func interesting(line []byte, where int) bool {
	if legacyKey.in(line[where:]) >= 0 {
		return true
	}
	line = line[:where]
	from := min(len(line), len(eventStart)+len(`v1","level":"`))
	verb := verbKey.in(line[from:])
	if verb < 0 {
		return true // not as the API server writes it
	}
	verb += from
	i := refKey.in(line[verb:])
	if i < 0 {
		return impersonatedKey.in(line[verb:]) >= 0
	}
	head, ref := line[:verb+i], line[verb+i+len(refKey.text):]
	if impersonatedKey.in(head[verb:]) >= 0 {
		return true
	}
	ref = ref[:max(0, bytes.IndexByte(ref, '}'))]
	resource, ok := bytes.CutPrefix(ref, resourceKey)
	if !ok {
		return true
	}
	resource = resource[:max(0, bytes.IndexByte(resource, '"'))]
	changing := writes(line[verb+len(verbKey.text):])
	switch string(resource) {
	case "serviceaccounts":
		return changing || bytes.Contains(ref, tokenRef)
	case "secrets":
		return changing || levelKey.in(head) >= 0
	case "tokenreviews":
		return bodyKey.in(head) >= 0
	case "roles", "rolebindings", "clusterroles", "clusterrolebindings",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings":
		return changing && (bytes.Contains(ref, ourName) || bytes.Contains(head, deletesAll))
	default:
		return false
	}
}

// writes tells whether the verb is one that changes something.
func writes(verb []byte) bool {
	for _, changing := range []string{"create", "update", "patch", "delete"} {
		if len(verb) >= len(changing) && string(verb[:len(changing)]) == changing {
			return true
		}
	}
	return false
}
