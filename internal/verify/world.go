package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// world is the objects, by what is asked of them.
type world struct {
	in        Input
	auth      *rbac.Authorizer
	eso       []rbac.Subject
	fences    []Fence
	fenced    map[Account]*Fence
	tenanted  map[string]bool // namespaces with a fence
	places    map[rbac.Ref]*inventory.Object
	accounts  map[Account]*inventory.Object
	called    map[string][]Account      // service accounts that are there or bound, by name
	bound     map[rbac.Subject][]string // namespaces of the bindings that name a subject; "" is the cluster
	isBound   map[rbac.Subject]bool     // to anything, Kubernetes' own bindings included
	boundIn   map[string][]rbac.Subject // service accounts that are bound to anything, by their namespace
	tokens    []tokenSecret
	tokensOf  map[Account][]*inventory.Object
	workloads []workload
	running   map[Account][]*inventory.Object // workloads by their service account
	stores    []store
	pushes    []*inventory.Object
	policies  policies
	closed    []Closed

	kubernetes     *rbac.Authorizer // Kubernetes' own roles and bindings only
	defaults       map[boundTo]bool // whom the API server binds by itself
	able           map[*rbacv1.PolicyRule][2]uint64
	holds          map[rbac.Subject][]hold
	ownRule        map[*rbacv1.PolicyRule]bool // it is what Kubernetes' own role has
	served         map[string]bool             // namespaces that ESO is meant to write Secrets in
	labelled       map[string]bool             // namespaces that say that they are a tenant's
	selectsByLabel bool                        // a store chooses namespaces by their labels; no policy that counts does
	tenantOf       map[string]string
	proof          *proof
}

// tokenSecret is a Secret that holds a token of a service account, without end.
type tokenSecret struct {
	account Account
	object  *inventory.Object
}

// workload is what runs, or makes, pods.
type workload struct {
	account Account
	object  *inventory.Object
}

func newWorld(in Input) *world {
	w := &world{
		in: in, eso: in.ESO, fenced: map[Account]*Fence{}, tenanted: map[string]bool{},
		places: map[rbac.Ref]*inventory.Object{}, accounts: map[Account]*inventory.Object{}, bound: map[rbac.Subject][]string{},
		called: map[string][]Account{}, isBound: map[rbac.Subject]bool{}, boundIn: map[string][]rbac.Subject{}, running: map[Account][]*inventory.Object{},
		able: map[*rbacv1.PolicyRule][2]uint64{}, holds: map[rbac.Subject][]hold{}, ownRule: map[*rbacv1.PolicyRule]bool{}, served: map[string]bool{}, labelled: map[string]bool{},
	}
	var objects rbac.Objects
	for i := range in.Objects {
		w.take(&in.Objects[i], &objects)
	}
	slices.SortStableFunc(w.stores, func(a, b store) int {
		return cmp.Or(cmp.Compare(a.object.Kind, b.object.Kind), compareObjects(a.object, b.object))
	})
	w.auth = rbac.New(objects, rbac.Options{Minor: in.Minor, DefaultBindings: true})
	if len(w.eso) == 0 {
		w.eso = w.findESO()
	}
	w.fences = in.Fences
	if !in.Specified {
		w.fences = w.findFences()
	}
	slices.SortFunc(w.fences, func(a, b Fence) int { return compareAccounts(a.Account, b.Account) })
	for i := range w.fences {
		w.fenced[w.fences[i].Account] = &w.fences[i]
		w.tenanted[w.fences[i].Namespace] = true
		w.served[w.fences[i].Namespace] = true
	}
	w.index()
	w.policies.rests = w.resting()
	w.policies.gates = w.gates
	w.policies.servers = in.Servers
	return w
}

// index makes what is looked up by name, in an order that is not the input's.
func (w *world) index() {
	for _, s := range w.auth.Subjects() {
		w.isBound[s] = true
		if s.Kind == rbac.KindServiceAccount {
			w.boundIn[s.Namespace] = append(w.boundIn[s.Namespace], s)
			if account := (Account{s.Namespace, s.Name}); w.accounts[account] == nil {
				w.called[s.Name] = append(w.called[s.Name], account)
			}
		}
	}
	for account := range w.accounts {
		w.called[account.Name] = append(w.called[account.Name], account)
	}
	for _, accounts := range w.called {
		slices.SortFunc(accounts, compareAccounts)
	}
	w.tokensOf = map[Account][]*inventory.Object{}
	for _, token := range w.tokens {
		w.tokensOf[token.account] = append(w.tokensOf[token.account], token.object)
	}
	for i := range w.stores {
		for _, c := range w.stores[i].object.List("spec", "conditions") {
			for _, namespace := range inventory.Texts(c, "namespaces") {
				w.served[namespace] = true
			}
		}
	}
	w.indexRunning()
	slices.SortStableFunc(w.tokens, func(a, b tokenSecret) int { return compareObjects(a.object, b.object) })
	for _, namespaces := range w.bound {
		slices.Sort(namespaces)
	}
	w.selectsByLabel = slices.ContainsFunc(w.stores, func(s store) bool { return s.selects() })
}

// indexRunning notes what runs as whom. Of a Deployment, its ReplicaSets and
// their Pods, which a dump holds all, it is the Deployment.
func (w *world) indexRunning() {
	there := map[string]bool{}
	name := func(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }
	for _, run := range w.workloads {
		there[name(run.object.Kind, run.object.Namespace, run.object.Name)] = true
	}
	for _, run := range w.workloads {
		made := slices.ContainsFunc(run.object.List("metadata", "ownerReferences"), func(owner any) bool {
			return there[name(inventory.Text(owner, "kind"), run.object.Namespace, inventory.Text(owner, "name"))]
		})
		if !made {
			w.running[run.account] = append(w.running[run.account], run.object)
		}
	}
}

func compareObjects(a, b *inventory.Object) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// selecting tells whether a label selector is there and selects.
func selecting(selector any) bool {
	labels, _ := inventory.Get(selector, "matchLabels").(map[string]any)
	return len(labels) > 0 || len(inventory.List(selector, "matchExpressions")) > 0
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// take sorts one object in.
func (w *world) take(o *inventory.Object, objects *rbac.Objects) {
	switch o.Group() + "/" + o.Kind {
	case "rbac.authorization.k8s.io/Role":
		objects.Roles = append(objects.Roles, &rbacv1.Role{ObjectMeta: meta(o), Rules: rules(o)})
	case "rbac.authorization.k8s.io/ClusterRole":
		objects.ClusterRoles = append(objects.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: meta(o), Rules: rules(o), AggregationRule: aggregation(o)})
	case "rbac.authorization.k8s.io/RoleBinding":
		objects.RoleBindings = append(objects.RoleBindings, &rbacv1.RoleBinding{ObjectMeta: meta(o), RoleRef: roleRef(o), Subjects: subjects(o)})
	case "rbac.authorization.k8s.io/ClusterRoleBinding":
		objects.ClusterRoleBindings = append(objects.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{ObjectMeta: meta(o), RoleRef: roleRef(o), Subjects: subjects(o)})
	case "/ServiceAccount":
		w.accounts[Account{o.Namespace, o.Name}] = o
	case "/Namespace":
		if inventory.Text(o.Fields, "metadata", "labels", tenantLabel) != "" {
			w.served[o.Name] = true
			w.labelled[o.Name] = true
		}
	case "/Secret":
		if o.Text("type") == tokenSecretType {
			name := inventory.Text(o.Fields, "metadata", "annotations", accountAnnotation)
			w.tokens = append(w.tokens, tokenSecret{Account{o.Namespace, name}, o})
		}
	case "external-secrets.io/SecretStore", "external-secrets.io/ClusterSecretStore":
		w.stores = append(w.stores, readStore(o))
	case "external-secrets.io/PushSecret", "external-secrets.io/ClusterPushSecret":
		w.pushes = append(w.pushes, o)
	case "admissionregistration.k8s.io/ValidatingAdmissionPolicy", "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
		"admissionregistration.k8s.io/" + webhookKind, templateGroup + "/" + templateKind, configGroup + "/Config", syncGroup + "/SyncSet":
		w.policies.take(o)
	default:
		if o.Group() == constraintGroup {
			w.policies.take(o)
		}
		if o.Group() == generatorGroup {
			w.stores = append(w.stores, readGenerator(o))
		}
		if spec := podSpec(o); spec != nil {
			w.workloads = append(w.workloads, workload{Account{o.Namespace, accountOf(spec)}, o})
		}
	}
	if o.Kind == "RoleBinding" || o.Kind == "ClusterRoleBinding" {
		all := subjects(o)
		for i := range all {
			s := subjectOf(&all[i], o.Namespace)
			w.bound[s] = append(w.bound[s], o.Namespace)
		}
	}
	if o.Group() == rbacGroup {
		w.places[rbac.Ref{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}] = o
	}
}

const (
	rbacGroup         = "rbac.authorization.k8s.io"
	tokenSecretType   = "kubernetes.io/service-account-token"
	accountAnnotation = "kubernetes.io/service-account.name"
)

func meta(o *inventory.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, Labels: textMap(o.Map("metadata", "labels"))}
}

func textMap(fields map[string]any) map[string]string {
	texts := make(map[string]string, len(fields))
	for key, value := range fields {
		texts[key], _ = value.(string)
	}
	return texts
}

func rules(o *inventory.Object) []rbacv1.PolicyRule {
	list := o.List("rules")
	all := make([]rbacv1.PolicyRule, len(list))
	for i, rule := range list {
		all[i] = rbacv1.PolicyRule{
			Verbs: inventory.Texts(rule, "verbs"), APIGroups: inventory.Texts(rule, "apiGroups"), Resources: inventory.Texts(rule, "resources"),
			ResourceNames: inventory.Texts(rule, "resourceNames"), NonResourceURLs: inventory.Texts(rule, "nonResourceURLs"),
		}
	}
	return all
}

func aggregation(o *inventory.Object) *rbacv1.AggregationRule {
	if o.Get("aggregationRule") == nil {
		return nil
	}
	rule := &rbacv1.AggregationRule{}
	for _, item := range o.List("aggregationRule", "clusterRoleSelectors") {
		rule.ClusterRoleSelectors = append(rule.ClusterRoleSelectors, labelSelector(item))
	}
	return rule
}

func labelSelector(value any) metav1.LabelSelector {
	matchLabels, _ := inventory.Get(value, "matchLabels").(map[string]any)
	selector := metav1.LabelSelector{MatchLabels: textMap(matchLabels)}
	for _, expression := range inventory.List(value, "matchExpressions") {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: inventory.Text(expression, "key"), Operator: metav1.LabelSelectorOperator(inventory.Text(expression, "operator")), Values: inventory.Texts(expression, "values"),
		})
	}
	return selector
}

func roleRef(o *inventory.Object) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: o.Text("roleRef", "apiGroup"), Kind: o.Text("roleRef", "kind"), Name: o.Text("roleRef", "name")}
}

func subjects(o *inventory.Object) []rbacv1.Subject {
	var all []rbacv1.Subject
	for _, s := range o.List("subjects") {
		all = append(all, rbacv1.Subject{
			APIGroup: inventory.Text(s, "apiGroup"), Kind: inventory.Text(s, "kind"), Namespace: inventory.Text(s, "namespace"), Name: inventory.Text(s, "name"),
		})
	}
	return all
}

// esoComponents are the values of app.kubernetes.io/name on ESO's three
// Deployments, the controller's first (templates of chart 2.9.0, _helpers.tpl).
var esoComponents = []string{"external-secrets", "external-secrets-webhook", "external-secrets-cert-controller"}

// isComponent tells whether a Deployment is of ESO's chart.
func isComponent(o *inventory.Object) bool {
	return slices.Contains(esoComponents, inventory.Text(o.Fields, "metadata", "labels", "app.kubernetes.io/name"))
}

// findESO finds ESO's service accounts by its Deployments.
func (w *world) findESO() []rbac.Subject {
	var found []rbac.Subject
	for _, component := range esoComponents {
		for _, run := range w.workloads {
			name := inventory.Text(run.object.Fields, "metadata", "labels", "app.kubernetes.io/name")
			if s := run.account.subject(); name == component && run.object.Kind == "Deployment" && !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// findFences takes the accounts that stores refer to for what is meant.
func (w *world) findFences() []Fence {
	var found []Fence
	index := map[Account]int{}
	for i := range w.stores {
		s := &w.stores[i]
		for _, ref := range s.references {
			at, known := index[ref.account]
			if !known {
				at = len(found)
				index[ref.account] = at
				found = append(found, Fence{Account: ref.account, At: s.object.At})
			}
			found[at].Audiences = append(found[at].Audiences, ref.audiences...)
		}
	}
	for i := range found {
		slices.Sort(found[i].Audiences)
		found[i].Audiences = slices.Compact(found[i].Audiences)
	}
	return found
}

// place is where a role or a binding stands, or what it is called where that
// is not known.
func (w *world) place(ref rbac.Ref, rule int) problem.Position {
	o := w.places[ref]
	if o == nil {
		return problem.Position{Subject: strings.ReplaceAll(ref.String(), " ", "/")}
	}
	if rule < 0 {
		return o.At
	}
	return o.RuleAt(rule)
}

// anywhere is a place for what is about the whole input.
func (w *world) anywhere() problem.Position {
	if len(w.in.Objects) > 0 {
		return problem.Position{File: w.in.Objects[0].At.File, Subject: w.in.Objects[0].At.Subject}
	}
	return problem.Position{Subject: "Input/empty"}
}

// open reports what leaves RBAC's answers open. A role that many bindings name
// and nobody shows is one problem.
func (w *world) open() problem.List {
	var found problem.List
	missing := map[rbac.Ref]int{} // where in found
	more := map[rbac.Ref]int{}
	for _, flaw := range w.auth.Problems() {
		if flaw.Flaw == rbac.RoleMissing {
			if _, known := missing[flaw.Other]; known {
				more[flaw.Other]++
				continue
			}
			missing[flaw.Other] = len(found)
		}
		p := problem.Problem{Rule: problem.RBACOpen, Position: w.place(flaw.Object, -1), Message: flaw.Object.String() + ": " + flaw.Detail}
		if flaw.Flaw == rbac.AggregationCycle {
			p.Severity = problem.Warning // all have the rules of all: nothing is open
		}
		found = append(found, p)
	}
	for role, n := range more {
		p := &found[missing[role]]
		p.Because = []string{fmt.Sprintf("%d more bindings name it", n)}
		if n == 1 {
			p.Because[0] = "another binding names it"
		}
	}
	return found
}
