package audit

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Bounds of what is kept, whatever a log holds.
const (
	maxSeen      = 1 << 21 // events that duplicates are known of
	maxRows      = 1 << 17
	maxNodes     = 1 << 16
	maxValues    = 64  // audiences, or bindings, of a row
	maxText      = 512 // of a name, in bytes
	apiServer    = "(API server)"
	defaultLives = 3600 // seconds, where a request does not say (pkg/apis/authentication/v1/defaults.go)
)

// tally counts the events of all files.
type tally struct {
	in       *Input
	eso      map[string]bool // by user name
	fences   map[Account]*Fence
	guarded  map[string]Account // user names of the fences
	rooms    map[string]bool    // namespaces with a fence
	seen     map[[16]byte]struct{}
	rows     map[rowKey]*row
	nodes    map[string]struct{}
	pods     map[Account]struct{}
	used     map[Account]place // the last token that ESO was given
	kubelets Kubelets
	found    map[findingKey]*finding
	kinds    map[problem.Rule]int // findings
	lost     int                  // findings and rows past the bounds
	unlike   int                  // events that may have been seen before
	requests int                  // for tokens
	dups     int
	file     string
	scratch  []byte
}

type rowKey struct {
	requester, as string
	account       Account
}

type row struct {
	span
	class             Class
	given, refused    int
	shortest, longest int64
	unknown           int
	audiences         map[string]struct{}
	bindings          map[string]struct{}
}

func newTally(in *Input) *tally {
	t := &tally{
		in: in, eso: map[string]bool{}, fences: map[Account]*Fence{}, guarded: map[string]Account{}, rooms: map[string]bool{},
		seen: map[[16]byte]struct{}{}, rows: map[rowKey]*row{}, nodes: map[string]struct{}{}, pods: map[Account]struct{}{},
		used: map[Account]place{}, found: map[findingKey]*finding{}, kinds: map[problem.Rule]int{},
	}
	for _, a := range in.ESO {
		t.eso[a.Username()] = true
	}
	for i := range in.Fences {
		f := &in.Fences[i]
		t.fences[f.Account], t.guarded[f.Username()], t.rooms[f.Namespace] = f, f.Account, true
	}
	return t
}

// add takes an event of a file. It keeps nothing of it but short texts.
func (t *tally) add(e *event) {
	if t.double(e) {
		return
	}
	at := place{file: t.file, line: e.line, at: e.at}
	t.judgeBodies(e, at)
	t.judgeImpersonation(e, at)
	t.judgeLegacy(e, at)
	if e.mints() {
		t.mint(e, at)
		return
	}
	t.judgeChange(e, at)
}

// double tells whether the event was there before.
func (t *tally) double(e *event) bool {
	var id [16]byte
	id, t.scratch = e.identity(t.scratch)
	if _, seen := t.seen[id]; seen {
		t.dups++
		return true
	}
	if len(t.seen) < maxSeen {
		t.seen[id] = struct{}{}
	} else {
		t.unlike++
	}
	return false
}

// class says whose a request is. Who acts as somebody else is not that one.
func (t *tally) class(e *event) Class {
	name := e.User.Username
	switch {
	case e.ImpersonatedUser != nil:
		return Other
	case t.eso[name]:
		return ESO
	case strings.HasPrefix(name, "system:node:"):
		return Kubelet
	default:
		return Other
	}
}

func (t *tally) mint(e *event, at place) {
	t.requests++
	account := Account{clip(e.ObjectRef.Namespace), clip(e.ObjectRef.Name)}
	class := t.class(e)
	if class == Kubelet && t.fences[account] == nil {
		t.kubelet(e, account)
		return
	}
	t.judgeMint(e, class, account, at)
	r := t.row(e, class, account)
	if r == nil {
		return
	}
	r.add(at)
	if !e.granted() {
		if e.refused() {
			r.refused++
		}
		return
	}
	r.given++
	if class == ESO {
		if fence := t.fences[account]; fence != nil && t.used[account].before(at) {
			t.used[fence.Account] = at
		}
	}
	r.ask(e)
	if reason := e.Annotations["authorization.k8s.io/reason"]; reason != "" {
		note(r.bindings, reason)
	}
}

func (t *tally) row(e *event, class Class, account Account) *row {
	key := rowKey{requester: clip(e.User.Username), account: account}
	if e.ImpersonatedUser != nil {
		key.as = clip(e.ImpersonatedUser.Username)
	}
	r := t.rows[key]
	if r == nil {
		if len(t.rows) >= maxRows {
			t.lost++
			return nil
		}
		r = &row{class: class, audiences: map[string]struct{}{}, bindings: map[string]struct{}{}}
		t.rows[key.kept()] = r
	}
	return r
}

// ask notes what was asked for.
func (r *row) ask(e *event) {
	if e.RequestObject == nil {
		r.unknown++
		return
	}
	spec := e.RequestObject.Spec
	lives := int64(defaultLives)
	if spec.ExpirationSeconds != nil {
		lives = *spec.ExpirationSeconds
	}
	if r.longest == 0 || lives < r.shortest {
		r.shortest = lives
	}
	r.longest = max(r.longest, lives)
	for _, audience := range spec.Audiences {
		note(r.audiences, audience)
	}
	if len(spec.Audiences) == 0 {
		note(r.audiences, apiServer)
	}
}

// kubelet counts what nodes ask for: a token for each pod, all the time.
func (t *tally) kubelet(e *event, account Account) {
	switch {
	case e.granted():
		t.kubelets.Given++
	case e.refused():
		t.kubelets.Refused++
	}
	node := clip(e.User.Username)
	if _, there := t.nodes[node]; !there && len(t.nodes) < maxNodes {
		t.nodes[strings.Clone(node)] = struct{}{}
	}
	if _, there := t.pods[account]; !there && len(t.pods) < maxRows {
		t.pods[account.kept()] = struct{}{}
	}
}

// note keeps a text, once, and not too many of them.
func note(set map[string]struct{}, text string) {
	text = clip(text)
	if _, there := set[text]; !there && len(set) < maxValues {
		set[strings.Clone(text)] = struct{}{}
	}
}

// kept is the account for long: an event's texts are parts of its line.
func (a Account) kept() Account {
	return Account{strings.Clone(a.Namespace), strings.Clone(a.Name)}
}

func (k rowKey) kept() rowKey {
	return rowKey{strings.Clone(k.requester), strings.Clone(k.as), k.account.kept()}
}

// clip bounds foreign text.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:maxText]), "") + "…"
}

// table is the rows in their order: ESO's first, then by requester and account.
func (t *tally) table() []Row {
	all := make([]Row, 0, len(t.rows))
	for key, r := range t.rows {
		all = append(all, Row{
			Class: r.class, Requester: key.requester, As: key.as, Account: key.account, Fenced: t.fences[key.account] != nil,
			Given: r.given, Refused: r.refused, First: moment(r.first.at), Last: moment(r.last.at),
			Audiences: slices.Sorted(maps.Keys(r.audiences)), Bindings: slices.Sorted(maps.Keys(r.bindings)),
			Shortest: r.shortest, Longest: r.longest, Unknown: r.unknown,
		})
	}
	order := map[Class]int{ESO: 0, Other: 1, Kubelet: 2}
	slices.SortFunc(all, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(order[a.Class], order[b.Class]), cmp.Compare(a.Requester, b.Requester), cmp.Compare(a.As, b.As),
			cmp.Compare(a.Account.Namespace, b.Account.Namespace), cmp.Compare(a.Account.Name, b.Account.Name),
		)
	})
	return all
}
