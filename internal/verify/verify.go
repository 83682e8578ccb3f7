// Package verify proves, from objects alone, whose tokens somebody can come by:
// External Secrets Operator (ESO), and the people of a namespace that holds
// fenced service accounts. It shares no rule and no name with the generators,
// since a proof that knew how the fence is made would prove only that.
//
// The world is closed: what is not among the objects is not there. What could
// not be read, and what a binding names and nobody shows, makes the verdict
// "not proven" and never "proven".
package verify

import (
	"cmp"
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Input is what is verified.
type Input struct {
	Objects []inventory.Object
	// Unread says what of the input could not be read.
	Unread problem.List
	// ESO are its service accounts: the controller's first, then the webhook's
	// and the certificate controller's. Empty: found among the objects.
	ESO []rbac.Subject
	// Fences are the service accounts that ESO is meant to mint for. Without
	// Specified, they are found among the objects: whatever a store refers to.
	Fences    []Fence
	Specified bool
	// Writers are those who deliver what is verified: nothing keeps a fence from them.
	Writers []rbac.Subject
	// Servers are the addresses that stores are meant to name; nil: not known.
	Servers []string
	// Minor is the cluster's version, such as "1.34"; "" is the newest known.
	Minor string
	// Releases are the versions of ESO that its roles are for, such as "v2.9.0"; none: not known.
	Releases []string
	// WritesMoved says that ESO's writes of Secrets were taken from its ClusterRole.
	WritesMoved bool
	// Network says who may open the network of ESO's pods; nil: nobody asked for that.
	Network *Network
	// Exemptions are what policies are meant to let through all the same; with
	// Specified, all there are.
	Exemptions []Exemption
	// Clock says which of them are over; empty: none is.
	Clock Clock
	// Observing says that nothing is enforced yet: what is open is a warning.
	Observing bool
}

// Clock is the time, as moments like 2027-04-01T00:00:00Z: now, what is near, and
// further than which nothing should be put off.
type Clock struct{ Now, Soon, Far string }

// Account names a service account.
type Account struct{ Namespace, Name string }

// String is "namespace/name".
func (a Account) String() string { return a.Namespace + "/" + a.Name }

func (a Account) subject() rbac.Subject { return rbac.ServiceAccount(a.Namespace, a.Name) }

// Fence is a service account that ESO is meant to mint for.
type Fence struct {
	Account
	Tenant    string
	Audiences []string // that its tokens are for; empty: not known
	// Annotations are those of its identity in a cloud, as declared; nil: not known.
	Annotations map[string]string
	Shared      bool // its store's identity is meant for others, too
	At          problem.Position
}

// Verdict is what is concluded of one kind of power.
type Verdict string

// The verdicts, worst last.
const (
	Proven    Verdict = "proven"     // nobody has more than is meant
	Accepted  Verdict = "accepted"   // what is left is known, and stated
	NotProven Verdict = "not-proven" // something could not be read
	Breached  Verdict = "breached"
)

// Power is what a verdict is about.
type Power string

// The powers.
const (
	Mint  Power = "mint"  // whose tokens can be come by
	Write Power = "write" // whose Secrets can be written
	Read  Power = "read"  // which Secrets can be read
)

// Report is what was found.
type Report struct {
	Problems problem.List
	Verdicts map[Power]Verdict
	ESO      []rbac.Subject
	Fences   []Fence
	Objects  int
	// Closed are bypasses that an admission policy closes: rule and policy.
	Closed []Closed
}

// Closed is a bypass that is there in RBAC, and closed by an admission policy.
type Closed struct {
	Rule   problem.Rule
	Policy inventory.Object
}

// Check verifies the input.
func Check(in Input) *Report {
	w := newWorld(in)
	report := &Report{ESO: w.eso, Fences: w.fences, Objects: len(in.Objects), Verdicts: map[Power]Verdict{Mint: Proven, Write: Proven, Read: Proven}}
	report.Problems = slices.Concat(in.Unread, w.open())
	if len(w.eso) == 0 {
		report.Problems = append(report.Problems, problem.Problem{
			Rule: problem.RequesterUnknown, Position: w.anywhere(),
			Message: "External Secrets Operator's service account is not known",
			Hint:    "name its Platform with --platform, or the account with --requester, or add its Deployment to the input",
		})
	}
	for _, found := range []func(*world) problem.List{minted, closedToOthers, chain, stores, pushes, residual, networks, gatekeeper, exemptions} {
		report.Problems = append(report.Problems, found(w)...)
	}
	report.Closed = w.closed
	report.Problems = report.Problems.Sorted()
	if in.Observing {
		report.observe()
	}
	report.Verdicts = Concluded(report.Problems)
	return report
}

// observe turns what enforcing would close into warnings.
func (r *Report) observe() {
	for i := range r.Problems {
		if _, known := powers[r.Problems[i].Rule]; known {
			r.Problems[i].Severity = problem.Warning
		}
	}
}

// Concluded draws the verdicts from a report's problems, or from what is left of
// them once somebody accepted some. Whatever could not be read or is unknown leaves all open.
func Concluded(problems problem.List) map[Power]Verdict {
	verdicts := map[Power]Verdict{Mint: Proven, Write: Proven, Read: Proven}
	raise := func(power Power, verdict Verdict) {
		if rank(verdict) > rank(verdicts[power]) {
			verdicts[power] = verdict
		}
	}
	for _, p := range problems {
		power, known := powers[p.Rule]
		switch {
		case known && p.IsError():
			raise(power, Breached)
		case known:
			raise(power, Accepted)
		case p.IsError() && !slices.Contains(broken, p.Rule):
			raise(Mint, NotProven)
			raise(Write, NotProven)
			raise(Read, NotProven)
		default: // a warning of something else, or a store that does not work
		}
	}
	return verdicts
}

// IsBreach tells whether a problem says that somebody has more than is meant, or
// that a store does not work. Of the other errors, what is said is that this is
// not known.
func IsBreach(p problem.Problem) bool {
	_, known := powers[p.Rule]
	return p.IsError() && (known || slices.Contains(broken, p.Rule))
}

func rank(v Verdict) int { return slices.Index([]Verdict{Proven, Accepted, NotProven, Breached}, v) }

// powers says which verdict a rule's problems are for.
var powers = map[problem.Rule]Power{
	problem.MintAny: Mint, problem.MintTokenSecret: Mint, problem.MintLegacySecret: Mint, problem.MintBootstrapToken: Mint,
	problem.MintPod: Mint, problem.MintExec: Mint, problem.MintImpersonate: Mint, problem.MintBind: Mint, problem.MintEscalate: Mint,
	problem.MintCSR: Mint, problem.MintNodeProxy: Mint, problem.MintAttest: Mint, problem.AdmissionWritable: Mint, problem.NamespaceWritable: Mint,
	problem.CRDWritable: Mint, problem.ForeignMint: Mint, problem.ForeignSubject: Mint, problem.FencedRole: Mint, problem.FencedPod: Mint, problem.FencedSecrets: Mint,
	problem.ForeignReach: Mint, problem.OperatorOpen: Mint, problem.OperatorSecond: Mint, problem.OperatorVersion: Mint, problem.FencedIdentity: Mint,
	problem.StoreWritable: Mint, problem.StoreUnsafe: Mint, problem.StoreAudience: Mint,
	problem.StoreOwnIdentity: Mint, problem.SharedStoreOpen: Mint, problem.IdentityShared: Mint, problem.OperatorIdentity: Mint,
	problem.ExemptionOpen: Mint, problem.ExemptionUnknown: Mint,
	problem.WriteSecrets: Write, problem.ReadSecrets: Read, problem.PushOpen: Read,
}

// broken are rules about what does not work: nobody has more for it.
var broken = []problem.Rule{problem.StoreUnfenced, problem.StoreAccountMissing, problem.StoreCannotMint, problem.OperatorSwitch}

func compareAccounts(a, b Account) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
