package adopt

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// warnings say what somebody has to look at before anything is applied.
func (m *maker) warnings(r *Result) problem.List {
	var found problem.List
	m.readGenerators(r)
	for _, s := range m.stores {
		if s.left != nil {
			found = append(found, m.leftOut(s))
			continue
		}
		found = append(found, changed(s)...)
	}
	for _, e := range m.entries {
		found = append(found, e.audience()...)
	}
	found = append(found, m.accountWarnings()...)
	found = append(found, m.generatorWarnings(r)...)
	found = append(found, m.grants()...)
	if names := m.unlabelled(); len(names) > 0 {
		r.Notes = append(r.Notes, "no label "+m.in.TenantLabel+" that can be a tenant's name is on "+plural(names)+": each of these is a tenant of its own")
	}
	if op := m.operator; op.role != "" && op.role != eso.ControllerRoleName(op.HelmRelease) && !op.Release.HasValue("rbac.serviceAccountTokenCreate") {
		r.Notes = append(r.Notes, "the chart's ClusterRole is called "+op.role+", because of nameOverride or fullnameOverride: the post-renderers that enforce writes have to name it so")
	}
	for i := range found {
		found[i].Severity = problem.Warning // the cluster works, and what is written is right
	}
	return found
}

func (m *maker) leftOut(s *store) problem.Problem {
	effect := "it keeps working when the fence is enforced"
	switch {
	case s.left.rule == problem.StoreAccountMissing:
		effect = "it does not work today, whatever External Secrets Operator may do"
	case m.breaks(s):
		effect = "it STOPS working when the fence is enforced: External Secrets Operator may then mint for fenced service accounts only"
	}
	return problem.Problem{
		Rule: s.left.rule, Position: s.object.At, Path: "spec",
		Message: s.object.Kind + " " + problem.Clean(s.name()) + " is left out: " + s.left.why,
		Because: []string{effect}, Hint: s.left.hint,
	}
}

// changed says what of an adopted store will be otherwise.
func changed(s *store) problem.List {
	var found problem.List
	title := s.object.Kind + " " + s.name()
	if fields := extra(s.object); len(fields) > 0 {
		found = append(found, problem.Problem{
			Rule: problem.FieldUnknown, Position: s.object.At, Path: fields[0],
			Message: title + " has " + strings.Join(fields, ", ") + ", which a specification cannot say",
			Hint:    "applied beside what is there, it stays; it is gone when the store is made anew",
		})
	}
	if s.clusterWide && isWider(s) {
		found = append(found, problem.Problem{
			Rule: problem.SharedStoreOpen, Position: s.object.At, Path: "spec.conditions",
			Message: title + " may be used from more namespaces than it is; afterwards only from those that use it today: " + plural(s.users),
			Hint:    "add to its tenants or namespaces in sharedStores who else may",
		})
	}
	return found
}

// isWider tells whether others may use a ClusterSecretStore than do.
func isWider(s *store) bool {
	conditions := s.object.List("spec", "conditions")
	return len(conditions) == 0 || slices.ContainsFunc(conditions, func(c any) bool {
		return inventory.Get(c, "namespaceSelector") != nil || len(inventory.List(c, "namespaceRegexes")) > 0 ||
			slices.ContainsFunc(inventory.Texts(c, "namespaces"), func(name string) bool { return !slices.Contains(s.users, name) })
	})
}

// audience says what the other side has to take.
func (e *entry) audience() problem.List {
	var names []string
	var first *store
	for _, s := range e.stores {
		if len(s.added) == 0 || len(s.secrets) > 0 {
			continue
		}
		if names = append(names, s.name()); first == nil {
			first = s
		}
	}
	if first == nil {
		return nil
	}
	return problem.List{{
		Rule: problem.AudienceMissing, Position: first.object.At, Path: "spec.provider." + first.kind,
		Message: "tokens of provider " + problem.Quote(e.name) + " will be for audience " + problem.QuoteAll(first.added) + ", which these stores do not ask for today: " + plural(names),
		Because: []string{"without an audience of its own a token is valid at the API server, for whoever is given it"},
		Hint:    e.audienceHint(),
	}}
}

func (e *entry) audienceHint() string {
	if e.stores[0].kind == "vault" {
		return "a Vault role with an audience refuses tokens without, and the other way round: make a new role with this audience first; or state another one"
	}
	return "the other side has to take it first; or state another audience"
}

// accountWarnings are about the service accounts of adopted stores: they get
// automountServiceAccountToken: false, and hold nothing else.
func (m *maker) accountWarnings() problem.List {
	running := m.running()
	tokens := m.tokenSecrets()
	var found problem.List
	seen := map[verify.Account]bool{}
	for _, s := range m.adopted() {
		o := m.world.account(s.account)
		if seen[s.account] {
			continue
		}
		seen[s.account] = true
		if users := running[s.account]; len(users) > 0 {
			found = append(found, problem.Problem{
				Rule: problem.FencedPod, Position: o.At, Message: "service account " + s.account.String() + " of " + s.object.Kind + " " + s.name() + " is also what " + plural(users) + " runs as",
				Because: []string{"it gets automountServiceAccountToken: false, so that pods lose their token when they next start, unless they ask for it themselves", "once it is enforced, an admission policy refuses pods that run as it"},
				Hint:    "give the store an account of its own, serviceAccount: " + s.object.Name + "-access-sa, and let the other side take it first",
			})
		}
		if secrets := slices.Concat(tokens[s.account], listed(o)); len(secrets) > 0 {
			found = append(found, problem.Problem{
				Rule: problem.FencedSecrets, Position: o.At, Message: "service account " + s.account.String() + " has tokens without end in Secrets: " + plural(sorted(secrets)),
				Hint: "delete them once nothing uses them: whoever reads one needs no right to mint",
			})
		}
	}
	return found
}

// listed are the Secrets that a service account lists.
func listed(o *inventory.Object) []string {
	var names []string
	for _, item := range o.List("secrets") {
		names = append(names, inventory.Text(item, "name"))
	}
	return names
}

func (m *maker) tokenSecrets() map[verify.Account][]string {
	all := map[verify.Account][]string{}
	for _, o := range m.byKind["/Secret"] {
		if o.Text("type") == "kubernetes.io/service-account-token" {
			a := verify.Account{Namespace: o.Namespace, Name: o.Text("metadata", "annotations", "kubernetes.io/service-account.name")}
			all[a] = append(all[a], o.Name)
		}
	}
	return all
}

// podOf is where each kind has its pod's spec.
var podOf = map[string][]string{
	"/Pod": {"spec"}, "/ReplicationController": {"spec", "template", "spec"}, "apps/Deployment": {"spec", "template", "spec"},
	"apps/DaemonSet": {"spec", "template", "spec"}, "apps/StatefulSet": {"spec", "template", "spec"}, "apps/ReplicaSet": {"spec", "template", "spec"},
	"batch/Job": {"spec", "template", "spec"}, "batch/CronJob": {"spec", "jobTemplate", "spec", "template", "spec"},
}

// running are the workloads of service accounts. What another one owns is not
// named beside it.
func (m *maker) running() map[verify.Account][]string {
	all := map[verify.Account][]string{}
	for kind, path := range podOf {
		for _, o := range m.byKind[kind] {
			pod := o.Map(path...)
			if pod == nil || len(o.List("metadata", "ownerReferences")) > 0 {
				continue
			}
			name := inventory.Text(pod, "serviceAccountName")
			if name == "" {
				name = "default"
			}
			a := verify.Account{Namespace: o.Namespace, Name: name}
			all[a] = append(all[a], o.Kind+" "+o.Name)
		}
	}
	for _, names := range all {
		slices.Sort(names)
	}
	return all
}

// readGenerators finds the generators that log in with a service account's token.
func (m *maker) readGenerators(r *Result) {
	for _, kind := range sortedKeys(m.byKind) {
		if !strings.HasPrefix(kind, generatorGroup+"/") {
			continue
		}
		for _, o := range m.byKind[kind] {
			for _, ref := range findReferences(o.Get("spec"), "", nil) {
				a := verify.Account{Namespace: ref.namespace, Name: ref.name}
				if a.Namespace == "" || o.Namespace != "" {
					a.Namespace = o.Namespace
				}
				r.Generators = append(r.Generators, Store{
					Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Account: a, Why: "a specification has no generators", Today: m.mint.of(a), Breaks: m.loses(a),
				})
				r.explain(a)
			}
		}
	}
}

func (m *maker) generatorWarnings(r *Result) problem.List {
	var found problem.List
	for i := range r.Generators {
		g := &r.Generators[i]
		if !g.Breaks {
			continue
		}
		found = append(found, problem.Problem{
			Rule: problem.StoreUnfenced, Position: m.named[objectName{generatorGroup + "/" + g.Kind, g.Namespace, g.Name}].At,
			Message: g.Kind + " " + g.title() + " uses service account " + strings.TrimPrefix(g.Account.String(), "/") + ", and a specification has no generators",
			Because: []string{"it STOPS working when the fence is enforced: External Secrets Operator may then mint for fenced service accounts only"},
			Hint:    "a Role for serviceaccounts/token with that name, by hand, keeps it working where there are no admission policies; or log in with a stored credential",
		})
	}
	return found
}

// explain notes that ESO has a reason to mint for an account.
func (r *Result) explain(a verify.Account) {
	if a.Namespace == "" {
		r.anywhere[a.Name] = true
		return
	}
	r.explained[a] = true
}

// explanations are the accounts that stores explain.
func (m *maker) explanations() (accounts map[verify.Account]bool, anywhere map[string]bool) {
	accounts, anywhere = map[verify.Account]bool{}, map[string]bool{}
	for _, s := range m.stores {
		for _, a := range s.accounts {
			accounts[a] = true
		}
		for _, ref := range findReferences(s.object.Get("spec", "provider"), "", nil) {
			if s.clusterWide && ref.namespace == "" {
				anywhere[ref.name] = true
			}
		}
	}
	return accounts, anywhere
}

// grants reports rights to mint for all that do not go with the chart's role.
func (m *maker) grants() problem.List {
	var found problem.List
	for _, g := range m.mint.grants {
		if g.Role.Name == m.operator.role || m.operator.RBAC == "replace" && strings.HasPrefix(g.Role.Name, "eso-tenant-") {
			continue
		}
		at := m.anywhere()
		if o := m.named[objectName{rbacGroup + "/ClusterRoleBinding", "", g.Binding.Name}]; o != nil {
			at = o.At
		}
		found = append(found, problem.Problem{
			Rule: problem.MintAny, Position: at, Message: "External Secrets Operator may mint for everybody by this binding, which is not the chart's: " + g.String(),
			Because: []string{"nothing that is rendered takes it away"}, Hint: "take it away as the last step, beside the chart's rule",
		})
	}
	return found
}
