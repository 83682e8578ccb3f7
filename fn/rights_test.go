package fn

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/generators"
)

// A reader of what was rendered that knows nothing of how it was made: bytes in, and who may do what. What the
// generators call things, it does not know.

// manifest is one document of a stream.
type manifest struct {
	text string
	metav1.TypeMeta
	metav1.ObjectMeta
	body any
}

func (m manifest) String() string { return m.Kind + " " + m.Namespace + "/" + m.Name }

// kindsKnown makes an empty value of each kind that may be rendered, by apiVersion and kind.
func kindsKnown(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 Namespace":
		return &corev1.Namespace{}
	case "v1 ResourceQuota":
		return &corev1.ResourceQuota{}
	case "v1 LimitRange":
		return &corev1.LimitRange{}
	case "v1 ServiceAccount":
		return &corev1.ServiceAccount{}
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "cilium.io/v2 CiliumNetworkPolicy":
		return &generators.CiliumNetworkPolicy{}
	case "rbac.authorization.k8s.io/v1 ClusterRole":
		return &rbacv1.ClusterRole{}
	case "rbac.authorization.k8s.io/v1 ClusterRoleBinding":
		return &rbacv1.ClusterRoleBinding{}
	case "rbac.authorization.k8s.io/v1 Role":
		return &rbacv1.Role{}
	case "rbac.authorization.k8s.io/v1 RoleBinding":
		return &rbacv1.RoleBinding{}
	case "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy":
		return &admissionv1.ValidatingAdmissionPolicy{}
	case "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding":
		return &admissionv1.ValidatingAdmissionPolicyBinding{}
	case "external-secrets.io/v1 SecretStore", "external-secrets.io/v1beta1 SecretStore":
		return &generators.SecretStore{}
	case "external-secrets.io/v1 ClusterSecretStore", "external-secrets.io/v1beta1 ClusterSecretStore":
		return &generators.ClusterSecretStore{}
	}
	return nil
}

// documentsOf cuts a stream into its documents. No text inside one has a line that is "---": blocks are indented.
func documentsOf(stream string) []string {
	if stream == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(strings.ReplaceAll(stream, "\n---\n", "\n\x00"), "---\n"), "\x00")
}

// manifestsOf reads a stream, each document strictly into its own type.
func manifestsOf(stream string) ([]manifest, error) {
	var all []manifest
	for _, text := range documentsOf(stream) {
		m := manifest{text: text}
		var head metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(text), &head); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, text)
		}
		m.TypeMeta, m.ObjectMeta = head.TypeMeta, head.ObjectMeta
		if m.body = kindsKnown(m.APIVersion, m.Kind); m.body == nil {
			return nil, fmt.Errorf("an unexpected kind:\n%s", text)
		}
		if err := yaml.UnmarshalStrict([]byte(text), m.body); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, text)
		}
		all = append(all, m)
	}
	return all, nil
}

// grant is a rule as one subject has it; an empty namespace is all of them.
type grant struct {
	subject, namespace string
	rule               rbacv1.PolicyRule
	from               manifest // the binding
}

// power reads who may do what. A role that is not there may do everything: it is a ClusterRole of the cluster's own.
func power(all []manifest) (grants []grant, missing []string) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, m := range all {
		switch body := m.body.(type) {
		case *rbacv1.Role:
			rules["Role "+m.Namespace+"/"+m.Name] = body.Rules
		case *rbacv1.ClusterRole:
			rules["ClusterRole "+m.Name] = body.Rules
		}
	}
	for _, m := range all {
		var ref rbacv1.RoleRef
		var subjects []rbacv1.Subject
		switch body := m.body.(type) {
		case *rbacv1.RoleBinding:
			ref, subjects = body.RoleRef, body.Subjects
		case *rbacv1.ClusterRoleBinding:
			ref, subjects = body.RoleRef, body.Subjects
		default:
			continue
		}
		key := ref.Kind + " " + ref.Name
		if ref.Kind == "Role" {
			key = "Role " + m.Namespace + "/" + ref.Name
		}
		granted, found := rules[key]
		if !found && (ref.Kind == "Role" || m.Kind == "ClusterRoleBinding") {
			missing = append(missing, fmt.Sprintf("%s refers to %s, which is not there", m, key))
		}
		if !found {
			granted = []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
		}
		for _, subject := range subjects {
			for _, rule := range granted {
				grants = append(grants, grant{subjectText(subject), m.Namespace, rule, m})
			}
		}
	}
	return grants, missing
}

func subjectText(s rbacv1.Subject) string {
	return s.Kind + " " + s.Namespace + "/" + s.Name
}

func has(list []string, want string) bool {
	return slices.Contains(list, want) || slices.Contains(list, "*")
}

// fence is one cluster's output seen from outside.
type fence struct {
	all      []manifest
	grants   []grant
	operator string              // ESO's own subject: the one that the cluster-wide role is bound to
	owner    map[string]string   // namespace → tenant, for all that a tenant has an object of its own in
	accounts map[string][]string // "namespace/name" of a store's service account → the stores' names
	problems []string
}

const (
	labelOfTenant = "eso-tenant.dev/tenant"
	anyTenant     = "*" // a subject that several tenants declare
)

// newFence reads a cluster's stream. owned is what the specification says of namespaces.
func newFence(stream string, owned map[string]string) (*fence, error) {
	f := &fence{owner: owned, accounts: map[string][]string{}}
	var err error
	if f.all, err = manifestsOf(stream); err != nil {
		return nil, err
	}
	f.grants, f.problems = power(f.all)
	for _, m := range f.all {
		if body, ok := m.body.(*rbacv1.ClusterRoleBinding); ok {
			for _, s := range body.Subjects {
				if f.operator != "" && f.operator != subjectText(s) {
					f.say("%s: a second subject has rights in the whole cluster", m)
				}
				f.operator = subjectText(s)
			}
		}
		for _, key := range accountsOf(m) {
			f.accounts[key] = append(f.accounts[key], m.Name)
		}
	}
	return f, nil
}

func (f *fence) say(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// accountsOf finds the references to service accounts in a store, wherever its provider has them, as namespace/name. A
// store of the whole cluster has to say the namespace, any other may not.
func accountsOf(m manifest) []string {
	var spec any
	switch body := m.body.(type) {
	case *generators.SecretStore:
		spec = body.Spec
	case *generators.ClusterSecretStore:
		spec = body.Spec
	default:
		return nil
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil
	}
	var found []string
	var walk func(v any)
	walk = func(v any) {
		fields, ok := v.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			inner, isMap := fields[key].(map[string]any)
			if ok && isMap && (key == "serviceAccountRef" || key == "serviceAccount") {
				name, _ := inner["name"].(string)
				namespace, _ := inner["namespace"].(string)
				found = append(found, m.Namespace+namespace+"/"+name)
			}
			walk(fields[key])
		}
	}
	walk(plain)
	return found
}

// check returns every way in which the fence is open. members are the subjects that tenants declare, with the tenant.
func (f *fence) check(enforce bool, members map[string]string) []string {
	f.checkRules()
	f.checkMinting(enforce)
	f.checkStores()
	f.checkBindings(members)
	f.checkPolicies(enforce)
	return f.problems
}

// checkRules: no wildcard, no right to widen rights, and names wherever a tenant's object has a rule.
func (f *fence) checkRules() {
	for _, m := range f.all {
		var rules []rbacv1.PolicyRule
		switch body := m.body.(type) {
		case *rbacv1.Role:
			rules = body.Rules
		case *rbacv1.ClusterRole:
			rules = body.Rules
			if body.AggregationRule != nil {
				f.say("%s collects rules that others write", m)
			}
		}
		for _, r := range rules {
			for _, word := range slices.Concat(r.APIGroups, r.Resources, r.Verbs) {
				if strings.Contains(word, "*") || strings.HasPrefix(word, "impersonate") || word == "bind" || word == "escalate" || word == "rbac.authorization.k8s.io" {
					f.say("%s has a rule with %s", m, word)
				}
			}
			if len(r.APIGroups) == 0 || len(r.Resources) == 0 || len(r.Verbs) == 0 || len(r.NonResourceURLs) > 0 || slices.Contains(r.ResourceNames, "") {
				f.say("%s has an incomplete rule %v", m, r)
			}
		}
		if len(m.Labels) > 0 && m.Kind == "ClusterRole" && aggregated(m) {
			f.checkView(m, rules)
		}
	}
}

func aggregated(m manifest) bool {
	for label := range m.Labels {
		if strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
			return true
		}
	}
	return false
}

// checkView: what is added to roles that everybody may have reads, and reads no Secret.
func (f *fence) checkView(m manifest, rules []rbacv1.PolicyRule) {
	for _, r := range rules {
		for _, verb := range r.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) || slices.Contains(r.APIGroups, "") {
				f.say("%s, which people get, may %s %v", m, verb, r.Resources)
			}
		}
	}
}

// checkMinting: tokens by name only, of service accounts that are there and that a store there uses.
func (f *fence) checkMinting(enforce bool) {
	exists := map[string]bool{}
	for _, m := range f.all {
		if m.Kind == "ServiceAccount" {
			exists[m.Namespace+"/"+m.Name] = true
		}
	}
	mintable := map[string]bool{}
	for _, g := range f.grants {
		if !has(g.rule.Resources, "serviceaccounts/token") || (g.subject != f.operator && has(g.rule.Resources, "*")) {
			continue // or a member's role, which checkBindings looks at
		}
		switch {
		case g.subject != f.operator:
			f.say("%s mints by %s", g.subject, g.from)
		case g.namespace == "" && enforce:
			f.say("%s mints in the whole cluster", g.subject)
		case g.namespace == "":
		case len(g.rule.ResourceNames) == 0:
			f.say("%s mints for every service account of %s", g.subject, g.namespace)
		}
		for _, name := range g.rule.ResourceNames {
			key := g.namespace + "/" + name
			mintable[key] = true
			if !exists[key] || len(f.accounts[key]) == 0 {
				f.say("%s may be minted for, and is not there or no store's", key)
			}
		}
	}
	for key := range f.accounts {
		if !mintable[key] {
			f.say("no Role lets ESO mint for %s, which a store needs", key)
		}
	}
	f.checkVirtual(mintable)
}

// checkVirtual: the grants that policies ask for are ESO's, by name, and for whom it may mint: one to be fenced, and
// some for audiences.
func (f *fence) checkVirtual(mintable map[string]bool) {
	fenced, audiences := map[string]bool{}, map[string]bool{}
	for _, g := range f.grants {
		if !slices.Contains(g.rule.APIGroups, "eso-tenant.dev") {
			continue
		}
		if g.subject != f.operator || g.namespace == "" || len(g.rule.ResourceNames) == 0 {
			f.say("%s holds a virtual grant by %s that is not ESO's, or not by name", g.subject, g.from)
		}
		if slices.Equal(g.rule.Resources, []string{"tenantnamespaces"}) {
			if !slices.Equal(g.rule.ResourceNames, []string{g.namespace}) {
				f.say("%s says of %v that they are a tenant's, in %s", g.from, g.rule.ResourceNames, g.namespace)
			}
			continue // stands for the label of a Namespace that is not ours
		}
		for _, name := range g.rule.ResourceNames {
			account, _, _ := strings.Cut(name, "=")
			fenced[g.namespace+"/"+account] = fenced[g.namespace+"/"+account] || slices.Contains(g.rule.Resources, "fencedserviceaccounts")
			audiences[g.namespace+"/"+account] = audiences[g.namespace+"/"+account] || slices.Contains(g.rule.Resources, "mintgrants")
		}
	}
	for key := range mintable {
		if !fenced[key] || !audiences[key] {
			f.say("%s may be minted for, and policies do not know it", key)
		}
	}
	if len(fenced) != len(mintable) {
		f.say("policies know %d service accounts, and %d may be minted for", len(fenced), len(mintable))
	}
}

// checkStores: each one names one service account, which is there and is given to no pod.
func (f *fence) checkStores() {
	mounted := map[string]bool{}
	for _, m := range f.all {
		if account, ok := m.body.(*corev1.ServiceAccount); ok {
			mounted[m.Namespace+"/"+m.Name] = account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken || len(account.Secrets) > 0
		}
	}
	for _, m := range f.all {
		if shared, ok := m.body.(*generators.ClusterSecretStore); ok {
			f.checkConditions(m, shared.Spec.Conditions)
		} else if _, ok := m.body.(*generators.SecretStore); !ok {
			continue
		}
		named := accountsOf(m)
		if len(named) != 1 {
			f.say("%s names %d service accounts", m, len(named))
			continue
		}
		if open, there := mounted[named[0]]; !there || open {
			f.say("%s uses service account %s, which is not there or is given to pods", m, named[0])
		}
	}
}

// checkConditions: ESO lets everybody use a store of the whole cluster that names nobody.
func (f *fence) checkConditions(m manifest, conditions []generators.ClusterSecretStoreCondition) {
	if len(conditions) == 0 {
		f.say("%s may be used from every namespace", m)
	}
	for _, c := range conditions {
		if len(c.Namespaces) == 0 {
			f.say("%s may be used from every namespace", m)
		}
		for _, namespace := range c.Namespaces {
			if f.owner[namespace] == "" {
				f.say("%s may be used from %s, which is nobody's", m, namespace)
			}
		}
	}
}

// checkPolicies: what RBAC cannot bound has a policy that cannot be passed by, bound once, for the whole cluster, and it
// refuses where the fence is closed.
func (f *fence) checkPolicies(enforce bool) {
	covered := map[string]int{}
	bound := map[string]int{}
	for _, m := range f.all {
		switch body := m.body.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			match := body.Spec.MatchConstraints
			if body.Spec.FailurePolicy == nil || *body.Spec.FailurePolicy != admissionv1.Fail || match.NamespaceSelector != nil || match.ObjectSelector != nil || len(match.ExcludeResourceRules) > 0 {
				f.say("%s can be passed by", m)
			}
			for _, r := range match.ResourceRules {
				covered[strings.Join(r.Resources, " ")]++
			}
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			bound[body.Spec.PolicyName]++
			if body.Spec.MatchResources != nil || slices.Contains(body.Spec.ValidationActions, admissionv1.Deny) != enforce {
				f.say("%s does not act as enforcement has it, or not everywhere", m)
			}
		}
	}
	for _, m := range f.all {
		if m.Kind == "ValidatingAdmissionPolicy" && bound[m.Name] != 1 {
			f.say("%s has %d bindings", m, bound[m.Name])
		}
	}
	if want := map[string]int{
		"serviceaccounts/token": 2, "secrets": 1, "pods": 1, "secretstores clustersecretstores": 1, "*": 1,
		"externalsecrets clusterexternalsecrets pushsecrets clusterpushsecrets": 1,
	}; !maps.Equal(covered, want) {
		f.say("policies are about %v, want %v", covered, want)
	}
}

// checkBindings: nothing that a tenant holds allows anything in another's namespaces, and nobody else holds anything.
func (f *fence) checkBindings(members map[string]string) {
	for _, g := range f.grants {
		tenant := g.from.Labels[labelOfTenant]
		holder, isMember := members[g.subject]
		kind, id, _ := strings.Cut(g.subject, " ")
		home, _, _ := strings.Cut(id, "/")
		switch {
		case g.subject == f.operator:
			if g.namespace != "" && tenant != "platform" && f.owner[g.namespace] != tenant {
				f.say("%s of tenant %s gives ESO rights in %s", g.from, tenant, g.namespace)
			}
		case g.namespace == "":
			f.say("%s holds rights in the whole cluster by %s", g.subject, g.from)
		case isMember:
			if (holder != tenant && holder != anyTenant) || f.owner[g.namespace] != tenant {
				f.say("%s of tenant %s has rights in %s by %s", g.subject, holder, g.namespace, g.from)
			}
		case kind == "ServiceAccount" && len(f.accounts[id]) > 0:
			f.checkReader(g, f.owner[home])
		default:
			f.say("%s is nobody that tenant %s declares, and holds rights by %s", g.subject, tenant, g.from)
		}
	}
}

// checkReader: a fenced service account reads Secrets by name, in its tenant's or in nobody's namespace.
func (f *fence) checkReader(g grant, tenant string) {
	named := len(g.rule.ResourceNames) > 0 && slices.Equal(g.rule.Resources, []string{"secrets"}) &&
		slices.Equal(g.rule.Verbs, []string{"get"}) && slices.Equal(g.rule.APIGroups, []string{""})
	owner, owned := f.owner[g.namespace]
	if !named || tenant != g.from.Labels[labelOfTenant] || (owned && owner != tenant) || strings.HasPrefix(g.namespace, "kube-") {
		f.say("%s has %v in %s by %s", g.subject, g.rule, g.namespace, g.from)
	}
}
