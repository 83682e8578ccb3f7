package verify

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// others reports an ESO that was not named: what it may do is its own.
func (w *world) others() problem.List {
	if len(w.eso) == 0 {
		return nil
	}
	var found problem.List
	for _, run := range w.workloads {
		if run.object.Kind == "Deployment" && isComponent(run.object) && !slices.Contains(w.eso, run.account.subject()) {
			found = append(found, problem.Problem{
				Rule: problem.OperatorSecond, Position: run.object.At,
				Message: "Deployment " + run.object.Namespace + "/" + run.object.Name + " runs External Secrets Operator as " + run.account.subject().String() + ", which was not named as its account",
				Hint:    "verify it by itself with --requester, or remove it",
			})
		}
	}
	return found
}

// operators yields the Deployments of External Secrets Operator, of those that
// were named as its accounts.
func (w *world) operators(yield func(*inventory.Object) bool) {
	for _, run := range w.workloads {
		if run.object.Kind == "Deployment" && isComponent(run.object) && slices.Contains(w.eso, run.account.subject()) && !yield(run.object) {
			return
		}
	}
}

// container is a Deployment's first one, which ESO's chart runs ESO in.
func container(o *inventory.Object) any {
	return first(o.List("spec", "template", "spec", "containers"))
}

// versions reports an ESO of another release than its roles are made for.
func (w *world) versions() problem.List {
	if len(w.in.Releases) == 0 {
		return nil
	}
	var found problem.List
	for o := range w.operators {
		tag := imageTag(inventory.Text(container(o), "image"))
		if tag != "" && !slices.Contains(w.in.Releases, "v"+strings.TrimPrefix(tag, "v")) {
			found = append(found, problem.Problem{
				Rule: problem.OperatorVersion, Position: o.At, Path: "spec.template.spec.containers[0].image",
				Message: "Deployment " + o.Namespace + "/" + o.Name + " runs External Secrets Operator " + problem.Quote(tag) + ", and the roles are for " + strings.Join(w.in.Releases, " and "),
				Hint:    "say in the Platform what runs, or upgradeTo what will",
			})
		}
	}
	return found
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// imageTag is the tag of an image's name, less the flavour behind it; "" where
// a digest alone says what it is.
func imageTag(image string) string {
	name, _, _ := strings.Cut(image, "@")
	_, tag, found := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	if !found {
		return ""
	}
	tag, _, _ = strings.Cut(tag, "-") // -ubi, -distroless
	return tag
}

// cloudAnnotations give a service account an identity in a cloud.
var cloudAnnotations = []string{"eks.amazonaws.com/role-arn", "azure.workload.identity/client-id", "iam.gke.io/gcp-service-account"}

// strongIdentity reports an identity of ESO's own in a cloud: a store without a
// reference would use it.
func (w *world) strongIdentity(a Account) problem.List {
	o := w.accounts[a]
	if o == nil {
		return nil
	}
	var found problem.List
	for _, key := range cloudAnnotations {
		if inventory.Text(o.Fields, "metadata", "annotations", key) != "" {
			found = append(found, problem.Problem{
				Rule: problem.OperatorIdentity, Position: o.At, Path: "metadata.annotations",
				Message: "External Secrets Operator's own service account " + a.String() + " has an identity in a cloud (" + key + ")",
				Hint:    "take the annotation away; tenants' stores use their own service accounts",
			})
		}
	}
	return found
}

// reconciler is a part of ESO that watches a kind, and how it is switched off.
type reconciler struct {
	resource string
	flag     string // "" cannot be switched off
	value    string // of the chart, which sets the flag
	since    string // the first release that has it; "" all that are known
}

// reconcilers are ESO's (cmd/controller/root.go of v2.9.0, and the same of each release before). Without the right to
// list and watch its kind, one that is on never has its cache filled, and ends the process for it.
var reconcilers = []reconciler{
	{resource: "externalsecrets"},
	{resource: "secretstores", flag: "--enable-secret-store-reconciler", value: "processSecretStore"},
	{resource: "clustersecretstores", flag: "--enable-cluster-store-reconciler", value: "processClusterStore"},
	{resource: "clusterexternalsecrets", flag: "--enable-cluster-external-secret-reconciler", value: "processClusterExternalSecret"},
	{resource: "pushsecrets", flag: "--enable-push-secret-reconciler", value: "processPushSecret"},
	{resource: "clusterpushsecrets", flag: "--enable-cluster-push-secret-reconciler", value: "processClusterPushSecret", since: "v0.15.0"},
}

// switches reports reconcilers that are on and whose kinds ESO may not read: it
// would start again and again.
func (w *world) switches() problem.List {
	var found problem.List
	for o := range w.operators {
		if inventory.Text(o.Fields, "metadata", "labels", "app.kubernetes.io/name") != esoComponents[0] {
			continue // the webhook and the certificate controller have none
		}
		flags := flagsOf(container(o))
		for _, r := range reconcilers {
			if w.lacks(r, o) || !r.on(flags) || w.watches(r, flags["--namespace"]) {
				continue
			}
			found = append(found, problem.Problem{
				Rule: problem.OperatorSwitch, Position: o.At, Path: "spec.template.spec.containers[0].args",
				Message: "Deployment " + o.Namespace + "/" + o.Name + " reconciles " + r.resource + ", which External Secrets Operator may not list and watch: it would start again and again",
				Hint:    r.hint(),
			})
		}
	}
	return found
}

// lacks tells whether the release that runs is from before the reconciler.
func (w *world) lacks(r reconciler, o *inventory.Object) bool {
	release := "v" + strings.TrimPrefix(imageTag(inventory.Text(container(o), "image")), "v")
	if !semver.IsValid(release) && len(w.in.Releases) > 0 {
		release = w.in.Releases[0]
	}
	return r.since != "" && semver.IsValid(release) && semver.Compare(release, r.since) < 0
}

// on tells whether flags leave a reconciler on, as it is by itself.
func (r reconciler) on(flags map[string]string) bool {
	value, stated := flags[r.flag]
	return r.flag == "" || !stated || !slices.Contains([]string{"false", "f", "F", "FALSE", "False", "0"}, value)
}

// watches tells whether ESO may watch a reconciler's kind, in the one namespace that it is limited to, or everywhere.
func (w *world) watches(r reconciler, namespace string) bool {
	for _, verb := range []string{"list", "watch"} {
		request := rbac.Request{Verb: verb, Group: storeGroup, Resource: r.resource, Namespace: namespace}
		if _, allowed := w.auth.Allowed(w.eso[0], request); !allowed {
			return false
		}
	}
	return true
}

func (r reconciler) hint() string {
	if r.flag == "" {
		return "give its role list and watch on " + r.resource
	}
	return "set the chart's value " + r.value + " to false, as the rendered values do, or have the Platform's features include what it is for"
}

// flagsOf are a container's flags by name, the last of each, as ESO reads them.
func flagsOf(container any) map[string]string {
	flags := map[string]string{}
	for _, arg := range slices.Concat(inventory.Texts(container, "command"), inventory.Texts(container, "args")) {
		if name, value, _ := strings.Cut(arg, "="); strings.HasPrefix(name, "--") {
			flags[name] = value
		}
	}
	return flags
}
