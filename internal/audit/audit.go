// Package audit reads audit logs of the Kubernetes API server: who was given
// tokens of which service accounts, and what of that the fence does not allow.
// It also writes, merges and checks the audit Policy that such a log needs.
//
// Logs are streams of JSON lines (audit.k8s.io/v1 Event, or EventList as the
// audit webhook sends them), plain or packed with gzip or zstd, of any length:
// memory is bounded, and what is not read is counted. The same events give the
// same report, in whichever files and order they stand, however often. No token
// and no content of a Secret is kept or reported.
package audit

import (
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Account names a service account.
type Account struct{ Namespace, Name string }

// String is "namespace/name".
func (a Account) String() string { return a.Namespace + "/" + a.Name }

const accountPrefix = "system:serviceaccount:"

// Username is what the API server calls the service account.
func (a Account) Username() string { return accountPrefix + a.Namespace + ":" + a.Name }

// Fence is a service account that ESO is meant to mint for.
type Fence struct {
	Account
	Audiences []string // that its tokens are for; empty: not known
	At        problem.Position
}

// Input says what is expected of a log. The zero value expects nothing, and
// gives a report without findings of the fence.
type Input struct {
	ESO       []Account // all of ESO's service accounts
	Fences    []Fence
	Specified bool // Fences are all that there are
	Observing bool // nothing is enforced yet: what is open is a warning
	// Writers are the users that deliver the fence's objects, such as
	// "system:serviceaccount:flux-system:kustomize-controller".
	Writers []string
	// UnusedAfter is how long a fenced service account may go without a token,
	// by the log's own time. Zero asks nothing.
	UnusedAfter time.Duration
	Window      Window
}

// Window is the time that events are from. A zero time is no bound.
type Window struct{ Since, Until time.Time }

// has tells whether a time in microseconds is within, both ends included.
func (w Window) has(at int64) bool {
	return (w.Since.IsZero() || at >= w.Since.UnixMicro()) && (w.Until.IsZero() || at <= w.Until.UnixMicro())
}

// Class says whose a requester is.
type Class string

// The classes of requesters.
const (
	ESO     Class = "eso"
	Kubelet Class = "kubelet"
	Other   Class = "other"
)

// Row is what one requester asked for of one service account's tokens.
type Row struct {
	Class       Class
	Requester   string // the user
	As          string // whom it acted as, by impersonation
	Account     Account
	Fenced      bool
	Given       int
	Refused     int
	First, Last time.Time
	// Audiences that were asked for. Without any, a token is for the API server:
	// that is "(API server)".
	Audiences []string
	// Lifetimes are the shortest and the longest that was asked for, in seconds;
	// 0 where the log does not say.
	Shortest, Longest int64
	// Unknown counts requests whose audiences the log does not have.
	Unknown int
	// Bindings are the authorizer's reasons: which binding allowed it.
	Bindings []string
}

// Kubelets is what nodes asked for, for the pods that run on them.
type Kubelets struct{ Given, Refused, Nodes, Accounts int }

// Report is what logs say.
type Report struct {
	Rows     []Row
	Kubelets Kubelets
	Coverage Coverage
	Problems problem.List
	Notes    []string // what could not be told, and why
}

// Coverage is how much of the logs was read, and what was not.
type Coverage struct {
	Files      int
	Lines      int
	Bytes      int64 // unpacked
	Events     int   // recognised, with those of no interest
	Decoded    int   // looked into
	Duplicates int   // looked into, and seen before
	Outside    int   // before --since or after --until
	Stages     int   // of a request that is not answered yet: the answer's event counts
	Backwards  int   // more than a minute older than an event before it
	Timeless   int   // without a time
	Empty      int   // lines
	// What was skipped, in lines.
	NotJSON, Truncated, TooLong, OtherKinds int
	Rotations, Cuts                         int // while following: a new file, a file that was emptied
	First, Last                             time.Time
}

// Skipped counts the lines that could not be read.
func (c *Coverage) Skipped() int { return c.NotJSON + c.Truncated + c.TooLong + c.OtherKinds }

// Span is the time between the first event and the last.
func (c *Coverage) Span() time.Duration { return c.Last.Sub(c.First) }

// saw widens the time span.
func (c *Coverage) saw(at time.Time) {
	if c.First.IsZero() || at.Before(c.First) {
		c.First = at
	}
	if at.After(c.Last) {
		c.Last = at
	}
}

// add adds another's counts.
func (c *Coverage) add(o *Coverage) {
	c.Files += o.Files
	c.Lines += o.Lines
	c.Bytes += o.Bytes
	c.Events += o.Events
	c.Decoded += o.Decoded
	c.Duplicates += o.Duplicates
	c.Outside += o.Outside
	c.Stages += o.Stages
	c.Backwards += o.Backwards
	c.Timeless += o.Timeless
	c.Empty += o.Empty
	c.NotJSON += o.NotJSON
	c.Truncated += o.Truncated
	c.TooLong += o.TooLong
	c.OtherKinds += o.OtherKinds
	c.Rotations += o.Rotations
	c.Cuts += o.Cuts
	if !o.First.IsZero() {
		c.saw(o.First)
		c.saw(o.Last)
	}
}
