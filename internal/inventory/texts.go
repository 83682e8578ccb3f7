package inventory

// Bounds on the texts that are held once. Names, labels and verbs are short.
const (
	maxTexts     = 1 << 16
	maxTextBytes = 64
)

// texts holds each short text once: of a hundred thousand objects, most texts
// are the same.
type texts struct{ known map[string]any }

func newTexts() *texts { return &texts{known: map[string]any{}} }

// value is the text as a value, which costs nothing if it was seen before. A nil
// t holds none.
func (t *texts) value(text []byte) any {
	if t == nil || len(text) > maxTextBytes {
		return string(text)
	}
	if v, ok := t.known[string(text)]; ok {
		return v
	}
	s := string(text)
	var v any = s
	if len(t.known) < maxTexts {
		t.known[s] = v
	}
	return v
}

func (t *texts) text(text []byte) string {
	s, _ := t.value(text).(string)
	return s
}
