package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// FromTyped makes an object of a typed one that was generated and not written,
// as it would be read if it had been. at is what it was generated from.
func FromTyped(apiVersion, kind, namespace, name string, body any, at problem.Position) (Object, error) {
	o := Object{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name, At: at}
	t, _ := typers.Get().(*typer)
	defer typers.Put(t)
	t.json.Reset()
	if err := t.encoder.Encode(body); err != nil {
		return o, fmt.Errorf("encoding %s %s: %w", kind, name, err)
	}
	h := heading{apiVersion, kind}
	if !bytes.HasPrefix(t.json.Bytes(), []byte("{")) {
		return o, fmt.Errorf("encoding %s %s: %T is no object in JSON", kind, name, body)
	}
	values := jsonValues{heading: h, data: t.json.Bytes(), texts: t.texts}
	o.Fields = values.root()
	if values.why != "" {
		return o, fmt.Errorf("encoding %s %s: %s", kind, name, values.why)
	}
	trim(h, o.Fields)
	return o, nil
}

// typer is what FromTyped needs again and again.
type typer struct {
	json    bytes.Buffer
	encoder *json.Encoder
	texts   *texts
}

// typers keeps the buffers of a run for its next object.
var typers = sync.Pool{New: func() any {
	t := &typer{texts: newTexts()}
	t.encoder = json.NewEncoder(&t.json)
	t.encoder.SetEscapeHTML(false) // an escape has to be read back
	return t
}}
