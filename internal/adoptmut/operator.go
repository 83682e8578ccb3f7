package adopt

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Operator is External Secrets Operator as it runs in a cluster.
type Operator struct {
	Namespace, ServiceAccount, HelmRelease string

	Release  *eso.Release
	RBAC     schema.RBACMode
	Features []eso.Feature

	version string // as the Deployment has it
	role    string // the ClusterRole that the chart made; "" if there is none
	class   string // of the stores that are its own, beside those of none
	object  *inventory.Object
}

const chart = "external-secrets"

// findOperator reads ESO's Deployment.
func (w *world) findOperator() (Operator, problem.List) {
	var found []*inventory.Object
	for _, o := range w.byKind["apps/Deployment"] {
		if isOperator(o) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return Operator{}, problem.List{{
			Rule: problem.RequesterUnknown, Position: w.anywhere(),
			Message: "the dump has no Deployment of External Secrets Operator: none is labelled app.kubernetes.io/name=external-secrets, or runs its image", Hint: dumpHint,
		}}
	case 1:
		return w.readOperator(found[0])
	default:
		var names []string
		for _, o := range found {
			names = append(names, o.Namespace+"/"+o.Name)
		}
		return Operator{}, problem.List{{
			Rule: problem.RequesterUnknown, Position: found[1].At,
			Message: "there is more than one External Secrets Operator: " + problem.QuoteAll(names),
			Hint:    "a Platform is for one of them: leave the Deployments of the others out of the dump, and adopt one after the other",
		}}
	}
}

// isOperator tells the controller from the webhook and the certificate
// controller, which run the same image.
func isOperator(o *inventory.Object) bool {
	if name := label(o, "app.kubernetes.io/name"); strings.HasPrefix(name, chart) {
		return name == chart
	}
	container := operatorContainer(o)
	args := inventory.Texts(container, "args")
	other := len(args) > 0 && (args[0] == "webhook" || args[0] == "certcontroller")
	return !other && strings.Contains(inventory.Text(container, "image"), "external-secrets/external-secrets:")
}

func operatorContainer(o *inventory.Object) any {
	containers := o.List("spec", "template", "spec", "containers")
	for _, c := range containers {
		if strings.Contains(inventory.Text(c, "image"), chart) {
			return c
		}
	}
	if len(containers) > 0 {
		return containers[0]
	}
	return nil
}

var releaseVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// versionOf is the release that runs. A label may be left out, or made up by
// whoever packages the chart: the first that is a release is it.
func versionOf(o *inventory.Object, image string) string {
	_, tag, _ := strings.Cut(image, chart+":")
	tag, _, _ = strings.Cut(tag, "@")
	for _, candidate := range []string{
		strings.TrimPrefix(label(o, "helm.sh/chart"), chart+"-"), label(o, "app.kubernetes.io/version"), strings.TrimSuffix(tag, "-ubi"),
	} {
		if bare := strings.TrimPrefix(candidate, "v"); releaseVersion.MatchString(bare) {
			return bare
		}
	}
	return ""
}

func (w *world) readOperator(o *inventory.Object) (Operator, problem.List) {
	container := operatorContainer(o)
	args := inventory.Texts(container, "args")
	op := Operator{
		Namespace: o.Namespace, ServiceAccount: cmp.Or(o.Text("spec", "template", "spec", "serviceAccountName"), "default"),
		HelmRelease: cmp.Or(label(o, "app.kubernetes.io/instance"), chart), class: argument(args, "controller-class"), object: o,
	}
	op.version = versionOf(o, inventory.Text(container, "image"))
	release, err := eso.Lookup(op.version)
	if err != nil {
		return op, problem.List{{
			Rule: problem.ESOVersionUnknown, Position: o.At, Path: "metadata.labels",
			Message: "the release of External Secrets Operator is not known: its labels and its image's tag say " + problem.Quote(op.version),
			Hint:    "known are " + eso.Versions()[0] + " to " + eso.Versions()[len(eso.Versions())-1],
		}}
	}
	op.Release = release
	op.Features = w.features(release, args)
	op.role, op.RBAC = w.roleOf(op)
	return op, nil
}

// argument is the value of a flag among a container's arguments.
func argument(args []string, name string) string {
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
		if arg == "--"+name {
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				return args[i+1]
			}
			return "true"
		}
	}
	return ""
}

// kindOf is what a feature that can be switched off is for.
var kindOf = map[eso.Feature]string{
	eso.FeatureClusterSecretStores: "ClusterSecretStore", eso.FeatureClusterExternalSecrets: "ClusterExternalSecret",
	eso.FeaturePushSecrets: "PushSecret", eso.FeatureClusterPushSecrets: "ClusterPushSecret",
}

// features are the parts of ESO that are on and in use.
func (w *world) features(release *eso.Release, args []string) []eso.Feature {
	var all []eso.Feature
	for _, feature := range eso.Features() {
		kind, flag := kindOf[feature], strings.TrimPrefix(release.Switches[feature].Flag, "--")
		used := kind != "" && argument(args, flag) != "false" && len(w.byKind[esoGroup+"/"+kind]) > 0
		switch feature {
		case eso.FeatureGenerators:
			used = w.usesGenerators()
		case eso.FeatureGenericTargets:
			used = argument(args, "unsafe-allow-generic-targets") == "true"
		default:
		}
		if used && release.Supports(feature) {
			all = append(all, feature)
		}
	}
	return all
}

func (w *world) usesGenerators() bool {
	for kind := range w.byKind {
		if strings.HasPrefix(kind, generatorGroup+"/") && kind != generatorGroup+"/GeneratorState" {
			return true
		}
	}
	for _, kind := range []string{"ExternalSecret", "ClusterExternalSecret", "PushSecret", "ClusterPushSecret"} {
		if slices.ContainsFunc(w.byKind[esoGroup+"/"+kind], func(o *inventory.Object) bool { return hasKey(o.Get("spec"), "generatorRef") }) {
			return true
		}
	}
	return false
}

// hasKey tells whether a key is anywhere in a value.
func hasKey(value any, wanted string) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if key == wanted || hasKey(inner, wanted) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(item any) bool { return hasKey(item, wanted) })
	}
	return false
}

// roleOf finds who makes ESO's ClusterRole, and the one that a chart has made.
func (w *world) roleOf(op Operator) (string, schema.RBACMode) {
	mode, name := schema.None, ""
	for _, o := range w.byKind[rbacGroup+"/ClusterRole"] {
		switch {
		case label(o, "app.kubernetes.io/managed-by") == "eso-tenant" && o.Name == "eso-tenant-"+op.HelmRelease+"-controller":
			mode = schema.Replace
		case fromChart(o) && label(o, "app.kubernetes.io/instance") == op.HelmRelease && strings.HasSuffix(o.Name, "-controller") && !strings.HasSuffix(o.Name, "-cert-controller"):
			name = o.Name
		}
	}
	if name != "" {
		mode = schema.HelmValues
	}
	return name, mode
}

// fromChart tells whether Helm made an object from ESO's chart.
func fromChart(o *inventory.Object) bool {
	return strings.HasPrefix(label(o, "helm.sh/chart"), chart+"-") ||
		label(o, "app.kubernetes.io/managed-by") == "Helm" && label(o, "app.kubernetes.io/name") == chart
}

// Account is the operator's own.
func (o *Operator) Account() verify.Account {
	return verify.Account{Namespace: o.Namespace, Name: o.ServiceAccount}
}
