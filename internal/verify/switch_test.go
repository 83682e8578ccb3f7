package verify_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// TestSwitches: a reconciler is off where ESO may not watch its kind, or ESO would not stay up.
func TestSwitches(t *testing.T) {
	for name, test := range map[string]struct {
		features string // of the Platform
		image    string
		args     []string
		on       string // kinds that are reported
	}{
		"all off":                  {args: strings.Split(reconcilersOff, ", ")},
		"nothing said":             {on: "clusterexternalsecrets clusterpushsecrets pushsecrets"},
		"one forgotten":            {args: strings.Split(reconcilersOff, ", ")[:3], on: "clusterpushsecrets"},
		"a feature that is wanted": {features: "[clusterSecretStores]", args: strings.Split(reconcilersOff, ", ")[1:]},
		"said twice, on at last":   {args: append(strings.Split(reconcilersOff, ", "), "--enable-push-secret-reconciler"), on: "pushsecrets"},
		"said twice, off at last":  {args: append([]string{"--enable-push-secret-reconciler=true"}, strings.Split(reconcilersOff, ", ")...)},
		"off in other words":       {args: []string{"--enable-cluster-store-reconciler=0", "--enable-cluster-external-secret-reconciler=F", "--enable-push-secret-reconciler=False", "--enable-cluster-push-secret-reconciler=f"}},
		"another flag is no flag":  {args: append(strings.Split(reconcilersOff, ", ")[:3], "enable-cluster-push-secret-reconciler=false"), on: "clusterpushsecrets"},
		"before there was it":      {image: "external-secrets/external-secrets:v0.14.4", args: strings.Split(reconcilersOff, ", ")[:3]},
	} {
		t.Run(name, func(t *testing.T) {
			platform := "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec:\n  externalSecrets: {version: v2.9.0, features: " +
				cmp.Or(test.features, "[]") + "}\n  enforcement: enforce\n  providers: {vault: {audiences: [vault], vault: {server: https://vault.example.com, auth: {kubernetes: {mountPath: k}}}}}\n"
			text, in := renderedText(t, schema.Source{File: "platform.yaml", Data: []byte(platform)})
			in.Objects = append(objects(t, "rendered.yaml", text), objects(t, "run.yaml", deployment("external-secrets", "external-secrets", "external-secrets", "external-secrets"))...)
			template, _ := in.Objects[len(in.Objects)-1].Get("spec", "template", "spec").(map[string]any)
			var args []any
			for _, arg := range test.args {
				args = append(args, arg)
			}
			template["containers"] = []any{map[string]any{"image": test.image, "args": args}}
			var on []string
			for _, p := range verify.Check(in).Problems {
				if p.Rule == problem.OperatorSwitch {
					_, what, _ := strings.Cut(p.Message, "reconciles ")
					what, _, _ = strings.Cut(what, ",")
					on = append(on, what)
				}
			}
			if slices.Sort(on); strings.Join(on, " ") != test.on {
				t.Errorf("reported %v, want %s", on, test.on)
			}
		})
	}
}
