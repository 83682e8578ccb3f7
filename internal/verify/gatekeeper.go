package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Gatekeeper decides by a ConstraintTemplate and a Constraint of its kind. As
// with the API server's own policies, what a template does is not read from its
// code: it counts only if it is one of those that are known, to the letter, and
// a Constraint has it refuse with parameters that are understood.

// Gatekeeper's API groups, and the kinds of theirs that are looked at.
const (
	templateGroup   = "templates.gatekeeper.sh"
	constraintGroup = "constraints.gatekeeper.sh"
	configGroup     = "config.gatekeeper.sh"
	syncGroup       = "syncset.gatekeeper.sh"

	templateKind = "ConstraintTemplate"
	webhookKind  = "ValidatingWebhookConfiguration"
)

// regoDigests are the sha256 of the Rego that counts, by what it decides. They
// change only together with a run of internal/gatekeepercheck, whose table is
// what says that the code decides as the policy of that name.
var regoDigests = map[string]string{
	"mint":         "0311e507052ed47aac5a057c8e72ac23a6129e62621c1adda6e92807fdf331e4",
	"minter":       "d93b258975ea24d8fc8df5a0b6812944aa788613d44e110e755998e090668c2a",
	"pod":          "1ac2176509e9a9f7c8ad5f440d1b30e65b5cc83004cb8f92361404f36c2f9289",
	"token-secret": "2a1a9d651f4bc2015e72cf68caab3ff380f2ff668545acf4c06e1ad9426f9654",
	"store":        "ce559945cb95d49a8fee9179b1efda24f32e0ec32a161a7441d4878145921780",
	"account":      "7622583211d89a14c228e351b853d6389e52b23feff7b12f2a7cf21222538ee6",
	"reference":    "06ab0167f01bde1335f3a22339fe7a0ab263bee2e9f00dd56b38f5558034f3c6",
}

// fenceDigest is that of the library which all of them use.
const fenceDigest = "1ef4754b82e26e15fa688e8b3fffd1c1c5bb405c9ac1331ffd6d3ddee38ebfe4"

// inCEL are the policies that Gatekeeper's CEL engine takes as they are.
var inCEL = []string{"role", "namespace", "exec"}

// gatekept are the kinds that a Constraint has to match, as group/Kind, by
// policy. Subresources have kinds of their own (gatekeeper v3.23.1,
// pkg/mutation/match/match.go: a Constraint matches a request's kind).
var gatekept = map[string][]string{
	"mint": {"authentication.k8s.io/TokenRequest"}, "minter": {"authentication.k8s.io/TokenRequest"},
	"token-secret": {"/Secret"}, "pod": {"/Pod"}, "account": {"/ServiceAccount"}, "namespace": {"/Namespace"},
	"store": {storeGroup + "/SecretStore", storeGroup + "/ClusterSecretStore", generatorGroup + "/*"},
	"role":  {rbacGroup + "/Role", rbacGroup + "/RoleBinding", rbacGroup + "/ClusterRole", rbacGroup + "/ClusterRoleBinding"},
	"exec":  {"/Pod", "/PodExecOptions", "/PodAttachOptions", "/PodPortForwardOptions"},
}

// gatekeepers are Gatekeeper's objects, by what is asked of them.
type gatekeepers struct {
	templates, webhooks, configs, syncs []*inventory.Object
	constraints                         map[string][]*inventory.Object // by kind
}

// take sorts an object in, and tells whether it is one of those.
func (k *gatekeepers) take(o *inventory.Object) bool {
	switch group := o.Group(); {
	case group == templateGroup && o.Kind == templateKind:
		k.templates = append(k.templates, o)
	case group == constraintGroup:
		if k.constraints == nil {
			k.constraints = map[string][]*inventory.Object{}
		}
		k.constraints[o.Kind] = append(k.constraints[o.Kind], o)
	case group == configGroup && o.Kind == "Config":
		k.configs = append(k.configs, o)
	case group == syncGroup && o.Kind == "SyncSet":
		k.syncs = append(k.syncs, o)
	case group == "admissionregistration.k8s.io" && o.Kind == webhookKind:
		k.webhooks = append(k.webhooks, o)
	default:
		return false
	}
	return true
}

// flaw is what keeps Gatekeeper from refusing.
type flaw struct {
	at      *inventory.Object
	message string
	hint    string
}

// recognize finds the templates that count and a Constraint has refuse, and what
// keeps others of ours from it.
func (k *gatekeepers) recognize() (found []recognized, flaws []flaw) {
	for _, o := range k.templates {
		kind := o.Text("spec", "crd", "spec", "names", "kind")
		name, filled, is := knownTemplate(o, kind)
		if !is {
			if inventory.Text(o.Fields, "metadata", "labels", managedByLabel) == ours {
				flaws = append(flaws, flaw{o, templateKind + " " + o.Name + " is not as eso-tenant makes it, so it closes nothing", "render it anew, with this version of eso-tenant"})
			}
			continue
		}
		if known[name] == nil {
			continue
		}
		r, why := k.enforced(o, kind, name, filled)
		if why != nil {
			flaws = append(flaws, *why)
			continue
		}
		found = append(found, *r)
	}
	return found, flaws
}

const (
	managedByLabel = "app.kubernetes.io/managed-by"
	ours           = "eso-tenant"
)

// knownTemplate tells which policy a template is; and, in CEL, what stands in its blanks.
func knownTemplate(o *inventory.Object, kind string) (name string, filled map[string]string, is bool) {
	spec := o.Map("spec")
	targets, code := o.List("spec", "targets"), []any(nil)
	if len(targets) == 1 {
		code = inventory.List(targets[0], "code")
	}
	if lower := strings.ToLower(kind); kind == "" || o.Name != lower || len(spec) != 2 || len(code) != 1 || !plainCRD(spec["crd"]) || rejected(o) ||
		inventory.Text(targets[0], "target") != "admission.k8s.gatekeeper.sh" || size(targets[0]) != 2 || size(code[0]) != 2 {
		return "", nil, false
	}
	source, _ := inventory.Get(code[0], "source").(map[string]any)
	switch inventory.Text(code[0], "engine") {
	case "Rego":
		name, is = knownRego(source)
		return name, nil, is
	case "K8sNativeValidation":
		return knownCEL(source)
	default:
		return "", nil, false
	}
}

func size(value any) int {
	fields, _ := value.(map[string]any)
	return len(fields)
}

// rejected tells whether Gatekeeper says that it could not take an object.
func rejected(o *inventory.Object) bool {
	return slices.ContainsFunc(o.List("status", "byPod"), func(pod any) bool { return len(inventory.List(pod, "errors")) > 0 })
}

// plainCRD tells whether a Constraint's parameters are kept as they are written.
func plainCRD(crd any) bool {
	spec, _ := inventory.Get(crd, "spec").(map[string]any)
	validation, _ := spec["validation"].(map[string]any)
	schema, _ := validation["openAPIV3Schema"].(map[string]any)
	legacy, has := validation["legacySchema"]
	return size(crd) == 1 && len(spec) == 2 && size(spec["names"]) == 1 && (!has || truth(legacy, false)) && len(schema) == 2 && schema["type"] == "object" && truth(schema["x-kubernetes-preserve-unknown-fields"], true)
}

// truth tells whether a value is a truth value, and which.
func truth(value any, want bool) bool {
	got, ok := value.(bool)
	return ok && got == want
}

func knownRego(source map[string]any) (name string, is bool) {
	libs, _ := textsOf(source["libs"])
	rego, _ := source["rego"].(string)
	if len(source) != 3 || source["version"] != "v1" || len(libs) != 1 || digest(libs[0]) != fenceDigest {
		return "", false
	}
	sum := digest(rego)
	for name, known := range regoDigests {
		if known == sum {
			return name, true
		}
	}
	return "", false
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// knownCEL compares with the same policies as the API server's own. What such a
// one looks at is its first condition here.
func knownCEL(source map[string]any) (name string, filled map[string]string, is bool) {
	for key := range source {
		if !slices.Contains([]string{"failurePolicy", "generateVAP", "matchCondition", "variables", "validations"}, key) {
			return "", nil, false
		}
	}
	// What is rendered fails closed, and has Gatekeeper make no policy of the API
	// server's of it, which could take the decision from the webhook.
	if source["failurePolicy"] != "Fail" || !truth(source["generateVAP"], false) {
		return "", nil, false
	}
	spec := map[string]any{"matchConditions": source["matchCondition"], "validations": source["validations"]}
	if variables := source["variables"]; variables != nil {
		spec["variables"] = variables
	}
	for _, name := range inCEL {
		want, _ := template(name).(map[string]any)
		want = maps.Clone(want)
		conditions, _ := want["matchConditions"].([]any)
		want["matchConditions"] = append([]any{map[string]any{"expression": lookedAt(want)}}, conditions...)
		delete(want, "matchConstraints")
		if filled, is := match(want, normal(spec)); is {
			return name, filled, true
		}
	}
	return "", nil, false
}

// lookedAt is a policy's match constraints as a condition.
func lookedAt(policy any) string {
	var all []string
	for _, rule := range inventory.List(policy, "matchConstraints", "resourceRules") {
		all = append(all, "request.operation in "+inQuotesAll(rule, "operations")+" && request.resource.group in "+inQuotesAll(rule, "apiGroups")+
			" && request.resource.resource + (request.?subResource.orValue('') == '' ? '' : '/' + request.subResource) in "+inQuotesAll(rule, "resources"))
	}
	return strings.Join(all, " || ")
}

func inQuotesAll(rule any, key string) string {
	return "['" + strings.Join(inventory.Texts(rule, key), "', '") + "']"
}

// enforced finds a Constraint that has a template refuse.
func (k *gatekeepers) enforced(o *inventory.Object, kind, name string, filled map[string]string) (*recognized, *flaw) {
	why := &flaw{o, "no Constraint of " + templateKind + " " + o.Name + " is there, so it refuses nothing", "add the Constraint that is rendered beside it"}
	for _, c := range k.constraints[kind] {
		r := recognized{object: o, closings: known[name], needs: needsOf(name), rego: filled == nil}
		if text := refuses(c, name); text != "" {
			why = &flaw{c, c.Kind + " " + c.Name + " " + text, "render the Constraint anew, and leave its spec as it is"}
			continue
		}
		if filled != nil {
			list, _ := readLiteral(filled["writers"])
			r.writers, _ = textsOf(list)
			r.home = unquoted(filled["home"])
			return &r, nil
		}
		if !r.parameters(name, c) {
			why = &flaw{c, c.Kind + " " + c.Name + " has parameters that no Platform gives it", "render the Constraint anew"}
			continue
		}
		return &r, nil
	}
	return nil, why
}

// refuses says why a Constraint does not refuse what it is about; "" if it does.
func refuses(c *inventory.Object, name string) string {
	action, stated := c.Get("spec", "enforcementAction").(string)
	switch {
	case rejected(c):
		return "is not taken by Gatekeeper, as its status says"
	case stated && action == "scoped", c.Get("spec", "scopedEnforcementActions") != nil:
		return "has actions of its own for single enforcement points, which are not looked into"
	case action != "deny": // Gatekeeper's default is deny, but what is rendered says it
		return "does not refuse: its enforcementAction is not deny"
	}
	for key, value := range c.Map("spec", "match") {
		list, _ := value.([]any)
		fields, isMap := value.(map[string]any)
		empty := value == nil || value == "" || value == "*" && key == "scope" || value == "All" && key == "source" || isMap && len(fields) == 0 || list != nil && len(list) == 0
		if key != "kinds" && !empty {
			return "matches some requests only: its match has " + problem.Quote(key)
		}
	}
	for _, want := range gatekept[name] {
		if !slices.ContainsFunc(c.List("spec", "match", "kinds"), func(item any) bool { return matches(item, want) }) {
			return "does not match " + strings.TrimPrefix(want, "/")
		}
	}
	return ""
}

// matches tells whether an item of a Constraint's kinds has one, as group/Kind.
func matches(item any, want string) bool {
	group, kind, _ := strings.Cut(want, "/")
	groups, kinds := inventory.Texts(item, "apiGroups"), inventory.Texts(item, "kinds")
	return (slices.Contains(groups, group) || slices.Contains(groups, "*")) && (slices.Contains(kinds, kind) || slices.Contains(kinds, "*"))
}

// parameters reads what a Constraint tells the Rego of a policy, and tells
// whether that is all understood, and as the policy needs it.
func (r *recognized) parameters(name string, c *inventory.Object) bool {
	p := c.Map("spec", "parameters")
	controller, _ := p["controller"].(string)
	users, fine := textsOf(p["users"])
	home, _ := p["namespace"].(string)
	prefix := "system:serviceaccount:" + home + ":"
	if !fine || home == "" || p["label"] != tenantLabel || !strings.HasPrefix(controller, prefix) || !equal(p["rules"], matchedBy(name)) {
		return false
	}
	r.controller, r.home, r.principals = controller, home, users
	r.account = "'" + home + "', '" + strings.TrimPrefix(controller, prefix) + "'"
	own := 0
	if r.exemptions, fine = constraintExemptions(c, name, users); !fine {
		return false
	} else if len(r.exemptions) > 0 {
		own = 2
	}
	switch name {
	case "mint":
		own += 2
		seconds, is := number(p["maxTokenSeconds"])
		most, known := number(p["maxAudiences"])
		if !is || !known || seconds > 99999 || most > 4 {
			return false
		}
	case "account":
		own++
		if r.writers, fine = textsOf(p["writers"]); !fine {
			return false
		}
	case "minter":
		r.own = users
	case "store":
		own += 4
		if !r.storeParameters(p) {
			return false
		}
	default: // nothing more
	}
	return len(p) == 5+own
}

// storeParameters reads what the policy for stores is told besides.
func (r *recognized) storeParameters(p map[string]any) bool {
	writers, fine := textsOf(p["writers"])
	entries, is := p["catalogue"].([]any)
	if !fine || !is || !equal(p["offline"], []any{"Fake", "MFA", "Password", "SSHKey", "UUID"}) ||
		!equal(p["offlineSpecs"], []any{"fakeSpec", "mfaSpec", "passwordSpec", "sshKeySpec", "uuidSpec"}) {
		return false
	}
	r.writers = writers
	for _, value := range entries {
		e, is := entryOf(value)
		if !is {
			return false
		}
		r.providers = append(r.providers, e)
	}
	return true
}

// matchedBy are a policy's match constraints as parameters.
func matchedBy(name string) []any {
	var all []any
	for _, rule := range inventory.List(template(name), "matchConstraints", "resourceRules") {
		all = append(all, map[string]any{
			"group": inventory.Texts(rule, "apiGroups")[0], "operations": inventory.Get(rule, "operations"), "resources": inventory.Get(rule, "resources"),
		})
	}
	return all
}

// equal compares values of texts, lists and maps.
func equal(a, b any) bool {
	left, err := json.Marshal(a)
	right, other := json.Marshal(b)
	return err == nil && other == nil && bytes.Equal(left, right)
}

// number reads a whole number, however it was decoded.
func number(value any) (int64, bool) {
	switch n := value.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<53
	default:
		return 0, false
	}
}

// request is what a webhook has to be asked about.
type request struct{ operation, group, version, resource string }

func (r request) String() string {
	name := r.resource
	if r.group != "" {
		name += "." + r.group
	}
	return fmt.Sprintf("%s of %s", r.operation, name)
}

// needsOf are the requests that a policy is about.
func needsOf(name string) []request {
	var all []request
	for _, rule := range inventory.List(template(name), "matchConstraints", "resourceRules") {
		for _, operation := range inventory.Texts(rule, "operations") {
			for _, resource := range inventory.Texts(rule, "resources") {
				all = append(all, request{operation, inventory.Texts(rule, "apiGroups")[0], inventory.Texts(rule, "apiVersions")[0], resource})
			}
		}
	}
	return all
}
