package audit

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// walk calls take for each field of a JSON object, with its value as written.
// False says that it is not written plainly, or is wrong: then encoding/json
// decides. It is here because decoding is most of what a log costs, and of an
// event's fields a few matter.
func walk(object []byte, take func(key, value []byte) bool) bool {
	if len(object) < 2 || object[0] != '{' {
		return false
	}
	rest := object[1:]
	if string(rest) == "}" {
		return true
	}
	for {
		end := stringEnd(rest)
		if end < 0 || end == len(rest) || rest[end] != ':' {
			return false
		}
		key := rest[1 : end-1]
		rest = rest[end+1:]
		if end = valueEnd(rest); end < 0 || end == len(rest) {
			return false
		}
		if bytes.IndexByte(key, '\\') >= 0 || !utf8.Valid(key) || !take(key, rest[:end]) {
			return false
		}
		if rest[end] != ',' {
			return string(rest[end:]) == "}"
		}
		rest = rest[end+1:]
	}
}

// stringEnd is where a string that begins here ends, or -1.
func stringEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for at := 1; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return -1
		}
		at += i + 1
		escapes := 0
		for b[at-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
}

// valueEnd is where a value that begins here ends, or -1. Of objects and lists
// it sees to brackets and strings only.
func valueEnd(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return nestedEnd(b)
	default:
		for i, c := range b {
			if c == ',' || c == '}' || c == ']' {
				return i
			}
		}
		return -1
	}
}

func nestedEnd(b []byte) int {
	depth := 0
	for at := 0; at < len(b); at++ {
		switch b[at] {
		case '"':
			end := stringEnd(b[at:])
			if end < 0 {
				return -1
			}
			at += end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return -1
}

// plain takes a string in which nothing but quotes and backslashes is escaped;
// others are decoded.
func plain(value []byte, to *string) bool {
	if len(value) < 2 || value[0] != '"' || !utf8.Valid(value) {
		return json.Unmarshal(value, to) == nil
	}
	text := value[1 : len(value)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		*to = string(text)
		return true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return json.Unmarshal(value, to) == nil
			}
		}
		out = append(out, text[i])
	}
	*to = string(out)
	return true
}

// plainBody takes a TokenRequest with the fields that it has, and has others
// decoded.
func plainBody(value []byte) (*body, bool) {
	b := &body{}
	if walk(value, func(key, value []byte) bool {
		switch string(key) {
		case "kind", "apiVersion":
			return stringEnd(value) == len(value)
		case "metadata":
			return string(value) == "{}" || string(value) == `{"creationTimestamp":null}`
		case "spec":
			return plainSpec(value, b)
		case "status":
			return walk(value, func(key, value []byte) bool {
				switch string(key) {
				case "token":
					return b.Status.Token.UnmarshalJSON(value) == nil
				default:
					return string(key) == "expirationTimestamp"
				}
			})
		default:
			return false
		}
	}) {
		return b, true
	}
	b = nil
	return b, json.Unmarshal(value, &b) == nil
}

func plainSpec(value []byte, b *body) bool {
	return walk(value, func(key, value []byte) bool {
		switch string(key) {
		case "audiences":
			return plainList(value, &b.Spec.Audiences)
		case "expirationSeconds":
			n, ok := digits(value)
			b.Spec.ExpirationSeconds = &n
			return ok && len(value) < 10
		default:
			return string(key) == "boundObjectRef"
		}
	})
}

// plainList takes a list of strings.
func plainList(value []byte, to *[]string) bool {
	if string(value) == "null" {
		return *to == nil
	}
	if *to != nil {
		return false // twice
	}
	*to = []string{}
	if string(value) == "[]" {
		return true
	}
	for rest := value; len(rest) > 1; {
		rest = rest[1:] // the bracket, or the comma
		end := stringEnd(rest)
		var text string
		if end < 0 || end == len(rest) || !plain(rest[:end], &text) {
			return false
		}
		*to = append(*to, text)
		if rest = rest[end:]; rest[0] != ',' {
			return string(rest) == "]"
		}
	}
	return false
}

// decodePlain reads an event that the API server wrote, or gives up.
func decodePlain(data []byte) (*event, bool) {
	e := &event{}
	fine := false
	ok := walk(data, func(key, value []byte) bool {
		if to := e.text(key); to != nil {
			return plain(value, to)
		}
		switch string(key) {
		case "user":
			return plainUser(value, &e.User)
		case "impersonatedUser":
			if e.ImpersonatedUser != nil {
				return false // twice: encoding/json makes one of both
			}
			e.ImpersonatedUser = &user{}
			return plainUser(value, e.ImpersonatedUser)
		case "objectRef":
			return plainRef(value, &e.ObjectRef)
		case "responseStatus":
			return plainStatus(value, &e.ResponseStatus)
		case "requestObject":
			twice := e.RequestObject != nil
			e.RequestObject, fine = plainBody(value)
			return fine && !twice
		case "responseObject":
			twice := e.ResponseObject != nil
			e.ResponseObject, fine = plainBody(value)
			return fine && !twice
		case "annotations":
			if e.Annotations != nil {
				return false
			}
			e.Annotations = map[string]string{}
			return walk(value, func(key, value []byte) bool {
				var text string
				fine := plain(value, &text)
				e.Annotations[string(key)] = text
				return fine
			})
		case "authenticationMetadata", "sourceIPs":
			return json.Valid(value)
		default:
			return false
		}
	})
	return e, ok
}

// text is where the field of this name goes, if it is a text.
func (e *event) text(key []byte) *string {
	switch string(key) {
	case "kind":
		return &e.Kind
	case "apiVersion":
		return &e.APIVersion
	case "level":
		return &e.Level
	case "auditID":
		return &e.AuditID
	case "stage":
		return &e.Stage
	case "requestURI":
		return &e.RequestURI
	case "verb":
		return &e.Verb
	case "userAgent":
		return &e.UserAgent
	case "requestReceivedTimestamp":
		return &e.Received
	case "stageTimestamp":
		return &e.StageTimestamp
	default:
		return nil
	}
}

func plainUser(value []byte, to *user) bool {
	return walk(value, func(key, value []byte) bool {
		switch string(key) {
		case "username":
			return plain(value, &to.Username)
		case "uid", "groups", "extra":
			return true
		default: // encoding/json takes names in other cases as well
			return false
		}
	})
}

func plainStatus(value []byte, to *responseStatus) bool {
	return walk(value, func(key, value []byte) bool {
		switch string(key) {
		case "code":
			return json.Unmarshal(value, &to.Code) == nil
		case "kind", "apiVersion", "metadata", "status", "message", "reason", "details":
			return true
		default:
			return false
		}
	})
}

func plainRef(value []byte, to *objectRef) bool {
	return walk(value, func(key, value []byte) bool {
		switch string(key) {
		case "resource":
			return plain(value, &to.Resource)
		case "subresource":
			return plain(value, &to.Subresource)
		case "namespace":
			return plain(value, &to.Namespace)
		case "name":
			return plain(value, &to.Name)
		case "apiGroup":
			return plain(value, &to.APIGroup)
		case "uid", "apiVersion", "resourceVersion":
			return true
		default:
			return false
		}
	})
}
