package verify

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// A Constraint refuses only where Gatekeeper is asked, and by then it is too
// late to say no if it does not answer. Whether it is asked is said by its
// webhook, by what its Deployment is started with, and by its Config.
// Source of all that: gatekeeper v3.23.1, charts/gatekeeper, pkg/webhook.

// gate is a webhook by which Gatekeeper is asked.
type gate struct {
	object   *inventory.Object // the webhook's configuration; nil: it was not seen
	home     string            // Gatekeeper's namespace; "" is not known
	rules    []any
	selector any // of namespaces
	labels   []guard
	noCEL    bool
	noRego   bool
	configs  []*inventory.Object
	spaces   func(string) map[string]string // a namespace's labels
	looked   map[string]bool
}

// guard is a webhook by which Gatekeeper keeps the label that exempts a
// namespace off those that may not have it.
type guard struct {
	webhook any
	exempt  []pattern
}

// pattern is a name, or the beginning or the end of one, or what is in it.
type pattern string

func (p pattern) matches(name string) bool {
	text := string(p)
	from, to := strings.HasPrefix(text, "*"), strings.HasSuffix(text, "*")
	switch inner := strings.Trim(text, "*"); {
	case from && to:
		return strings.Contains(name, inner)
	case from:
		return strings.HasSuffix(name, inner)
	case to:
		return strings.HasPrefix(name, inner)
	default:
		return name == text
	}
}

const (
	ignoreLabel   = "admission.gatekeeper.sh/ignore"
	nameLabel     = "kubernetes.io/metadata.name" // the API server sets it
	admitPath     = "/v1/admit"
	labelPath     = "/v1/admitlabel"
	operationPart = "gatekeeper.sh/operation"
	ownAdmin      = "gatekeeper-admin" // Gatekeeper's service account, of which it refuses nothing
)

// gates finds Gatekeeper's webhooks, and what is wrong with those that refuse
// nothing. Not seen is what is not among the objects.
func (w *world) gates(k *gatekeepers) (all []*gate, flaws []flaw, unseen string) {
	spaces := w.namespaceLabels()
	deployments := map[string][]*inventory.Object{}
	for _, run := range w.workloads {
		if run.object.Kind == "Deployment" && isGatekeeper(run.object) {
			deployments[run.object.Namespace] = append(deployments[run.object.Namespace], run.object)
		}
	}
	seen := false
	unseen = "its " + webhookKind
	for _, o := range k.webhooks {
		for _, hook := range o.List("webhooks") {
			service := inventory.Get(hook, "clientConfig", "service")
			home := inventory.Text(service, "namespace")
			if inventory.Text(service, "path") != admitPath || home == "" {
				continue
			}
			if len(deployments[home]) == 0 {
				unseen = "its Deployment in namespace " + home
				continue
			}
			seen = true // whatever it is worth
			g := &gate{object: o, home: home, configs: k.configs, spaces: spaces, looked: map[string]bool{}}
			why := g.read(hook, deployments[home], k.webhooks)
			if flaws = append(flaws, why...); len(why) == 0 {
				all = append(all, g)
			}
		}
	}
	if seen {
		return all, flaws, ""
	}
	return []*gate{{configs: k.configs, spaces: spaces, looked: map[string]bool{}}}, nil, unseen
}

// read reads a webhook, and what answers it. It returns what of that lets all pass.
func (g *gate) read(hook any, running, webhooks []*inventory.Object) []flaw {
	g.rules, g.selector = inventory.List(hook, "rules"), inventory.Get(hook, "namespaceSelector")
	why := lets(g.object, hook)
	var exempt []pattern
	for _, d := range running {
		exempt = append(exempt, g.started(d, &why)...)
	}
	g.labels = guards(webhooks, g.home, exempt)
	return why
}

// isGatekeeper tells whether a Deployment is the one that answers the webhook.
func isGatekeeper(o *inventory.Object) bool {
	return inventory.Text(o.Fields, "spec", "template", "metadata", "labels", operationPart) == "webhook"
}

// namespaceLabels gives a namespace's labels: of one that is not among the
// objects, its name's alone.
func (w *world) namespaceLabels() func(string) map[string]string {
	there := map[string]*inventory.Object{}
	for i := range w.in.Objects {
		if o := &w.in.Objects[i]; o.Kind == "Namespace" && o.Group() == "" {
			there[o.Name] = o
		}
	}
	return func(name string) map[string]string {
		all := map[string]string{}
		if o := there[name]; o != nil {
			all = textMap(o.Map("metadata", "labels"))
		}
		all[nameLabel] = name
		return all
	}
}

// lets are the ways in which a webhook lets requests pass by themselves.
func lets(o *inventory.Object, hook any) []flaw {
	var all []flaw
	note := func(message, hint string) {
		all = append(all, flaw{o, "webhook " + inventory.Text(hook, "name") + " " + message, hint})
	}
	if policy := inventory.Text(hook, "failurePolicy"); policy != "Fail" && inventory.Get(hook, "failurePolicy") != nil {
		note("lets requests pass while Gatekeeper does not answer: its failurePolicy is not Fail", "install Gatekeeper's chart with validatingWebhookFailurePolicy: Fail")
	}
	if selector := inventory.Get(hook, "objectSelector"); size(selector) > 0 || selector != nil && !isMap(selector) {
		note("is asked about some objects only: its objectSelector goes by labels that who writes the object chooses", "leave validatingWebhookObjectSelector empty")
	}
	if conditions := inventory.Get(hook, "matchConditions"); conditions != nil && (!isList(conditions) || !allPass(inventory.List(hook, "matchConditions"))) {
		note("is asked about some requests only: its matchConditions are not as rendered", "have validatingWebhookMatchConditions leave out Leases, as in the values that are rendered, and nothing else")
	}
	return all
}

// allPass tells whether conditions let all through that a policy of ours is about:
// the one that we render leaves out a group that none is about.
func allPass(conditions []any) bool {
	return !slices.ContainsFunc(conditions, func(condition any) bool {
		return inventory.Text(condition, "expression") != "request.resource.group != 'coordination.k8s.io'"
	})
}

func isMap(value any) bool  { _, is := value.(map[string]any); return is }
func isList(value any) bool { _, is := value.([]any); return is }

// started reads what Gatekeeper's program is started with, and returns the
// namespaces that may have the label which exempts them.
func (g *gate) started(d *inventory.Object, why *[]flaw) []pattern {
	var exempt []pattern
	var operations []string
	for _, container := range d.List("spec", "template", "spec", "containers") {
		args := slices.Concat(inventory.Texts(container, "command"), inventory.Texts(container, "args"))
		for i, arg := range args {
			name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if !strings.HasPrefix(arg, "-") {
				continue
			}
			if !has && i+1 < len(args) {
				value = args[i+1]
			}
			switch name {
			case "exempt-namespace":
				exempt = append(exempt, pattern(value))
			case "exempt-namespace-prefix":
				exempt = append(exempt, pattern(value+"*"))
			case "exempt-namespace-suffix":
				exempt = append(exempt, pattern("*"+value))
			case "operation":
				operations = append(operations, value)
			case "enable-k8s-native-validation":
				g.noCEL = g.noCEL || has && !isTrue(value)
			case "enable-referential-rules":
				g.noRego = g.noRego || has && !isTrue(value)
			case "disable-opa-builtin": // the chart disables this one by default, in braces
				g.noRego = g.noRego || strings.Trim(value, "{}") != "http.send"
			default: // it decides nothing
			}
		}
	}
	if len(operations) > 0 && !slices.Contains(operations, "webhook") {
		*why = append(*why, flaw{d, "Deployment " + d.FullName() + " does not answer the webhook: it has no --operation=webhook", "install Gatekeeper's chart without controllerManager.disableWebhookOperation"})
	}
	return exempt
}

// isTrue reads a flag as Go does.
func isTrue(value string) bool {
	return slices.Contains([]string{"1", "t", "T", "TRUE", "true", "True"}, value)
}

// guards are the webhooks that keep the label which exempts a namespace off.
func guards(configurations []*inventory.Object, home string, exempt []pattern) []guard {
	var all []guard
	for _, o := range configurations {
		for _, hook := range o.List("webhooks") {
			service := inventory.Get(hook, "clientConfig", "service")
			if inventory.Text(service, "path") == labelPath && inventory.Text(service, "namespace") == home && len(lets(o, hook)) == 0 {
				all = append(all, guard{hook, exempt})
			}
		}
	}
	return all
}

// asked tells whether the webhook is asked about a request.
func (g *gate) asked(want request) bool { return g.object == nil || asks(g.rules, want) }

// asks tells whether a webhook's rules have a request (k8s.io/apiserver v0.37.2,
// pkg/admission/plugin/webhook/predicates/rules). With scopes of their own they
// are taken not to.
func asks(rules []any, want request) bool {
	resource, sub, _ := strings.Cut(want.resource, "/")
	return slices.ContainsFunc(rules, func(rule any) bool {
		has := func(key, one string) bool {
			list := inventory.Texts(rule, key)
			return slices.Contains(list, one) || slices.Contains(list, "*")
		}
		if scope := inventory.Get(rule, "scope"); scope != nil && scope != "*" || !has("operations", want.operation) || !has("apiGroups", want.group) || !has("apiVersions", want.version) {
			return false
		}
		return slices.ContainsFunc(inventory.Texts(rule, "resources"), func(text string) bool {
			r, s, _ := strings.Cut(text, "/")
			return (r == "*" || r == resource) && (s == "*" || s == sub)
		})
	})
}

// looksAt tells whether Gatekeeper is asked about what is in a namespace, and
// knows what is there; "" is any namespace there may be.
func (g *gate) looksAt(namespace string) bool {
	known, done := g.looked[namespace]
	if !done {
		known = g.looks(namespace)
		g.looked[namespace] = known
	}
	return known
}

func (g *gate) looks(namespace string) bool {
	excluded := g.excluded()
	switch {
	case namespace == "" && g.object == nil: // its own namespace, it exempts
		return false
	case namespace == "":
		return !selecting(g.selector) && len(excluded) == 0
	}
	return !slices.ContainsFunc(excluded, func(p pattern) bool { return p.matches(namespace) }) && g.selects(g.selector, namespace)
}

// selects tells whether a webhook's selector has a namespace.
func (g *gate) selects(selector any, namespace string) bool {
	of := g.spaces(namespace)
	if g.object == nil {
		_, ignored := of[ignoreLabel]
		return !ignored
	}
	return selected(selector, of)
}

func selected(selector any, of map[string]string) bool {
	if selector == nil {
		return true
	}
	read := labelSelector(selector)
	compiled, err := metav1.LabelSelectorAsSelector(&read)
	return err == nil && isMap(selector) && compiled.Matches(labels.Set(of))
}

// excluded are the namespaces that a Config keeps Gatekeeper from, or from
// knowing what is in them. Gatekeeper goes by one Config; any counts here.
func (g *gate) excluded() []pattern {
	var all []pattern
	for _, o := range g.configs {
		for _, entry := range o.List("spec", "match") {
			if slices.ContainsFunc(inventory.Texts(entry, "processes"), func(p string) bool { return p == "*" || p == "webhook" || p == "sync" }) {
				for _, text := range inventory.Texts(entry, "excludedNamespaces") {
					all = append(all, pattern(text))
				}
			}
		}
	}
	return all
}

// keepsLabels tells whether nobody exempts a namespace by writing labels to it,
// through namespaces or one of its subresources.
func (g *gate) keepsLabels(namespace, resource string) bool {
	if g.object == nil {
		return resource == "namespaces" // as the chart has it
	}
	selector := labelSelector(g.selector)
	keys := slices.Collect(func(yield func(string) bool) {
		for key := range selector.MatchLabels {
			if !yield(key) {
				return
			}
		}
		for _, e := range selector.MatchExpressions {
			if !yield(e.Key) {
				return
			}
		}
	})
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == nameLabel })
	if len(keys) == 0 {
		return true
	}
	if slices.ContainsFunc(keys, func(key string) bool { return key != ignoreLabel }) {
		return false
	}
	of := g.spaces(namespace)
	return slices.ContainsFunc(g.labels, func(l guard) bool {
		return !slices.ContainsFunc(l.exempt, func(p pattern) bool { return p.matches(namespace) }) &&
			selected(inventory.Get(l.webhook, "namespaceSelector"), of) && asks(inventory.List(l.webhook, "rules"), request{"UPDATE", "", "v1", resource})
	})
}

// runs tells whether Gatekeeper runs a policy's engine.
func (g *gate) runs(r *recognized) bool { return !(r.rego && g.noRego || !r.rego && g.noCEL) }

// covers tells whether Gatekeeper is asked about all that a policy is about.
func (g *gate) covers(r *recognized) bool {
	return g.runs(r) && !slices.ContainsFunc(r.needs, func(want request) bool { return !g.asked(want) })
}

// slips tells whether the requester passes Gatekeeper by in a namespace: it can
// take the namespace out of what is looked at, or be Gatekeeper.
func (p *prover) slips(g *gate, namespace string) bool {
	if g.home != "" && p.reached[subject(rbac.ServiceAccount(g.home, ownAdmin))] != nil {
		return true
	}
	for ability, resources := range map[ability][]string{changeNamespaces: {"namespaces"}, changeNamespaceParts: {"namespaces/status", "namespaces/finalize"}} {
		if !slices.ContainsFunc(p.pool[ability], func(h *hold) bool { return h.in(namespace) && h.named(namespace) }) {
			continue
		}
		if slices.ContainsFunc(resources, func(resource string) bool { return !g.keepsLabels(namespace, resource) }) {
			return true
		}
	}
	return false
}

// syncedKinds are what the Rego reads of the cluster.
var syncedKinds = []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}

// unsynced are those of the kinds that nothing has Gatekeeper keep.
func (k *gatekeepers) unsynced() []string {
	there := map[string]bool{}
	note := func(items []any) {
		for _, item := range items {
			if inventory.Text(item, "group") == rbacGroup && inventory.Text(item, "version") == "v1" {
				there[inventory.Text(item, "kind")] = true
			}
		}
	}
	for _, o := range k.syncs {
		note(o.List("spec", "gvks"))
	}
	for _, o := range k.configs {
		note(o.List("spec", "sync", "syncOnly"))
	}
	return slices.DeleteFunc(slices.Clone(syncedKinds), func(kind string) bool { return there[kind] })
}

// missing are a policy's requests that a webhook is not asked about.
func (g *gate) missing(r *recognized) string {
	var all []string
	for _, want := range r.needs {
		if !g.asked(want) {
			all = append(all, want.String())
		}
	}
	return some(all)
}
