package adopt

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// maxEvent bounds a line of an audit log, in bytes. The API server's own events
// are of up to 3 MiB, that of the largest object.
const maxEvent = 8 << 20

// maxMinted bounds the service accounts that are counted apart.
const maxMinted = 1 << 20

// Minted is a service account that ESO minted for, and how often.
type Minted struct {
	Account   verify.Account
	Count     int
	Explained bool // a store, or a generator, uses it
	line      int
}

// event is an event of audit.k8s.io/v1, as far as it is read.
type event struct {
	Kind, Stage, Verb string
	User              struct{ Username string }
	ObjectRef         struct{ Resource, Subresource, Namespace, Name string }
	ResponseStatus    struct{ Code int }
}

// ReadAuditLog finds the service accounts that ESO minted for in an audit log
// of JSON lines; gzipped, if its name ends in .gz. Those that nothing explains
// are problems, and so is what cannot be read.
func (r *Result) ReadAuditLog(file string, from io.Reader) problem.List {
	l := auditLog{user: rbac.ServiceAccount(r.Operator.Namespace, r.Operator.ServiceAccount).Username(), minted: map[verify.Account]*Minted{}}
	err := l.read(file, from)
	at := problem.Position{File: file}
	if err != nil {
		return problem.List{{Rule: problem.SourceUnreadable, Position: at, Message: "this cannot be read to its end: " + err.Error()}}
	}
	if l.events == 0 {
		return problem.List{{
			Rule: problem.SourceUnreadable, Position: at, Message: "this has no event of audit.k8s.io in it",
			Hint: "an audit log is JSON, one event on a line, as --audit-log-format=json writes it",
		}}
	}
	r.Minted = l.sorted(r)
	r.Notes = append(r.Notes, l.summary(r.Minted))
	return l.problems(at, r.Minted)
}

type auditLog struct {
	user            string
	minted          map[verify.Account]*Minted
	events          int
	line, bad, last int // lines; those that are no events, and the last of these
}

func (l *auditLog) read(file string, from io.Reader) error {
	if strings.HasSuffix(file, ".gz") {
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			return fmt.Errorf("unpacking: %w", err)
		}
		from = unzipped
	}
	lines := bufio.NewReaderSize(from, 64<<10)
	var line []byte
	for tooLong := false; ; {
		part, err := lines.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > maxEvent; !tooLong {
			line = append(line, part...)
		}
		switch {
		case err == nil:
			l.take(bytes.TrimSpace(line), tooLong)
			line, tooLong = line[:0], false
		case errors.Is(err, io.EOF):
			l.take(bytes.TrimSpace(line), tooLong)
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("reading: %w", err)
		}
	}
}

// tokenRequest is in every event that matters, and in few others: the rest need
// no decoding.
var tokenRequest = []byte(`"token"`)

func (l *auditLog) take(line []byte, tooLong bool) {
	l.line++
	if len(line) == 0 && !tooLong {
		return
	}
	if tooLong || !isEvent(line) {
		l.bad, l.last = l.bad+1, l.line
		return
	}
	l.events++
	if !bytes.Contains(line, tokenRequest) {
		return
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		l.events, l.bad, l.last = l.events-1, l.bad+1, l.line
		return
	}
	if !e.mints() || e.User.Username != l.user {
		return
	}
	a := verify.Account{Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name}
	if l.minted[a] == nil && len(l.minted) < maxMinted {
		l.minted[a] = &Minted{Account: a, line: l.line}
	}
	if l.minted[a] != nil {
		l.minted[a].Count++
	}
}

func isEvent(line []byte) bool {
	return line[0] == '{' && line[len(line)-1] == '}' && bytes.Contains(line, []byte("audit.k8s.io/"))
}

// mints tells whether a token was given out. An event is logged once for each
// stage; the last one has the answer.
func (e *event) mints() bool {
	code := e.ResponseStatus.Code
	return e.Kind == "Event" && e.Stage == "ResponseComplete" && e.Verb == "create" && e.ObjectRef.Resource == "serviceaccounts" &&
		e.ObjectRef.Subresource == "token" && (code == 0 || code >= 200 && code < 300)
}

func (l *auditLog) sorted(r *Result) []Minted {
	var all []Minted
	for _, m := range l.minted {
		m.Explained = r.explained[m.Account] || r.anywhere[m.Account.Name]
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b Minted) int {
		return cmp.Or(cmp.Compare(a.Account.Namespace, b.Account.Namespace), cmp.Compare(a.Account.Name, b.Account.Name))
	})
	return all
}

func (l *auditLog) summary(minted []Minted) string {
	if len(minted) == 0 {
		return "the audit log has no token that " + l.user + " was given; does its policy log create of serviceaccounts/token?"
	}
	return "the audit log has tokens that " + l.user + " was given, of " + problem.Plural(len(minted), "service account")
}

func (l *auditLog) problems(at problem.Position, minted []Minted) problem.List {
	var found problem.List
	if l.bad > 0 {
		at := problem.Position{File: at.File, Line: l.last, Column: 1}
		found = append(found, problem.Problem{
			Rule: problem.SourceUnreadable, Severity: problem.Warning, Position: at,
			Message: problem.Plural(l.bad, "line") + " of this audit log cannot be read, this the last of them", Hint: "a log that is being written ends in the middle of a line; otherwise, tokens may have been given out that are not counted",
		})
	}
	for _, m := range minted {
		if m.Explained {
			continue
		}
		found = append(found, problem.Problem{
			Rule: problem.MintUnexplained, Position: problem.Position{File: at.File, Line: m.line, Column: 1},
			Message: "External Secrets Operator was given " + problem.Plural(m.Count, "token") + " of service account " + problem.Clean(m.Account.String()) + ", which no store and no generator uses",
			Hint:    "was the store deleted since? if not, find out who had the token made, and what for: afterwards there is none",
		})
	}
	return found
}
