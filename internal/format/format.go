// Package format writes problems for other programs. All formats hold the same
// problems in the same order, those of [problem.List.Sorted], and are the same
// bytes for the same problems; texts of users are cleaned as they are for a
// terminal.
//
// [JSON] is one object, of which fields are only ever added. Those of a problem
// are left out where there is nothing to say, and never null:
//
//	problems    list, in order; [] where there are none
//	  rule      stable name, such as "field-unknown"
//	  severity  "error" or "warning"
//	  file      as it was named, "-" for standard input
//	  subject   Kind/name, where there is no file
//	  line      from 1
//	  column    from 1, in Unicode code points
//	  path      the field, such as "spec.namespaces.web"
//	  message   what was found and what is allowed
//	  because   list of reasons
//	  hint      what to do
//	errors      how many of the problems are errors
//	warnings    how many are warnings
//	audit       of audit only: what was read, and who asked for which tokens
package format

import (
	"bytes"
	"fmt"
	"io"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Format is a way of writing problems. The zero value is refused.
type Format string

// The formats, as they are called on the command line.
const (
	Text   Format = "text"   // for people
	JSON   Format = "json"   // for scripts
	SARIF  Format = "sarif"  // for code scanning and editors
	JUnit  Format = "junit"  // for CI systems that show tests
	GitHub Format = "github" // workflow commands, which annotate a change
)

// All lists the formats.
func All() []Format { return []Format{Text, JSON, SARIF, JUnit, GitHub} }

// Options are what single formats need. The zero value is valid.
type Options struct {
	Style   problem.Style // of Text
	Version string        // eso-tenant's own, for SARIF
	// Folder is what file names are relative to. SARIF makes absolute names
	// relative to it, since they tell of the machine that it is made on.
	Folder string
	// Verdicts are a proof's, by what they are about, for JSON.
	Verdicts map[string]string
	// Audit is what audit counted, for JSON.
	Audit any
}

// Write writes the problems. All formats but Text and GitHub say it, too, if
// there are none.
func Write(w io.Writer, f Format, l problem.List, o Options) error {
	sorted := l.Sorted()
	var b bytes.Buffer
	var err error
	switch f {
	case Text:
		err = sorted.WriteText(&b, o.Style)
	case JSON:
		err = writeJSON(&b, sorted, o)
	case SARIF:
		err = writeSARIF(&b, sorted, o)
	case JUnit:
		err = writeJUnit(&b, sorted)
	case GitHub:
		writeGitHub(&b, sorted)
	default:
		err = fmt.Errorf("format %s is none of %s", problem.Quote(string(f)), All())
	}
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}
