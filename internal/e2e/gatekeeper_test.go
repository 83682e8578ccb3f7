package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// refusedByGatekeeper is in what the API server says where a Constraint of ours refuses.
const refusedByGatekeeper = `admission webhook "validation.gatekeeper.sh" denied the request: [eso-tenant-`

// Gatekeeper, as its chart installs it with the values that we render, closes each way round the fence that the API server's own
// policies close, while ESO works. Without its Constraints all of them are open, and with its chart's own values it is not asked.
func TestGatekeeper(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: rbacOnly})
	closed := slices.DeleteFunc(slices.Clone(bypasses), func(y bypass) bool { return stillOpen[y.name] != "" })
	specifications := stage(t, b, closed)
	specifications[0] = bed.PlatformWith("features: [clusterSecretStores]", "admission: {engine: Gatekeeper}")
	rendered := b.Render(t, specifications...)
	values, err := bed.GatekeeperValues(rendered)
	if err != nil {
		t.Fatal(err)
	}
	g := b.StartGatekeeper(t, values)
	constraints := constrain(t, b, g, rendered)

	eso := esoItself(t, b)
	mints := func(ctx context.Context, y bypass, audience string) error {
		_, err := eso.Mint(ctx, y.namespaceOf(), "vault-access-sa", []string{audience}, 600)
		return err
	}
	// settled waits until the API server asks Gatekeeper, or does not, and Gatekeeper was told of all tenants.
	settled := func(t *testing.T, want outcome) {
		t.Helper()
		b.Eventually(t, func(ctx context.Context) error {
			if err := mints(ctx, closed[0], "elsewhere"); outcomeOf(err) != want {
				return fmt.Errorf("a token for another audience: %s, want %s: %w", outcomeOf(err), want, err)
			}
			for _, y := range closed {
				if err := mints(ctx, y, "vault"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	settled(t, policy)
	t.Run("bypasses", (&trial{b: b, bypasses: closed, run: "gatekeeper", eso: eso, policies: true, unproven: true}).all)
	ours := closed[0].namespaceOf()
	b.WaitReady(t, b.ApplyYAML(t, bed.ExternalSecret(ours, "again", "vault", ours+"-vault/db")))
	b.WaitSecret(t, ours, "again", "password", "of "+ours+"/vault")

	t.Run("down", func(t *testing.T) {
		g.Stop()
		err := mints(t.Context(), closed[0], "vault")
		if err == nil || !strings.Contains(err.Error(), `failed calling webhook "validation.gatekeeper.sh"`) {
			t.Errorf("while Gatekeeper is down, ESO mints: %v", err)
		}
		if _, err := b.Mint(t.Context(), ours, "vault-access-sa", []string{"vault"}, 600); err == nil {
			t.Error("while Gatekeeper is down, an administrator mints")
		}
		// Nodes and controllers lead by Leases: without those nothing would start Gatekeeper again.
		b.ApplyYAML(t, "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: leads, namespace: kube-system}, spec: {holderIdentity: somebody}}")
		g.Restart(t)
		settled(t, policy)
	})
	t.Run("the chart's own values", func(t *testing.T) {
		g.Ask(t, nil)
		settled(t, works)
		g.Ask(t, values)
		settled(t, policy)
	})
	t.Run("observed", func(t *testing.T) {
		specifications[0] = strings.Replace(specifications[0], "enforcement: enforce", "enforcement: observe", 1)
		b.Apply(t, constraintsOf(b.Render(t, specifications...)))
		settled(t, works)
		b.Eventually(t, func(ctx context.Context) error {
			const want = "[eso-tenant-external-secrets-mint] External Secrets Operator may not mint tokens of "
			if err := mints(ctx, closed[0], "elsewhere"); err != nil || !strings.Contains(strings.Join(eso.Warnings(), "\n"), want) {
				return fmt.Errorf("no warning says %q: %w", want, err)
			}
			return nil
		})
	})
	b.Delete(t, constraints)
	settled(t, works)
	t.Run("without Constraints", (&trial{b: b, bypasses: closed, run: "none", eso: eso, unproven: true}).all)
}

// Gatekeeper decides on real requests as its engines do in process, and as the API server's own policies do.
func TestGatekeeperDecisionTable(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Bare: true})
	table, specification := decisionTable(t)
	rows := slices.DeleteFunc(slices.Clone(table), func(row decision) bool { return unasked[row.Name] != "" })
	rendered := b.Render(t, strings.Replace(specification, "  admission:\n", "  admission:\n    engine: Gatekeeper\n", 1))
	a := newAsker(t, b, "gatekeeper", "break-glass", table)
	b.Apply(t, permissiveKinds(table))
	b.Apply(t, namespacesOf(rendered))
	if err := a.stage(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	values, err := bed.GatekeeperValues(rendered)
	if err != nil {
		t.Fatal(err)
	}
	constrain(t, b, b.StartGatekeeper(t, values), rendered)
	for _, row := range rows { // Gatekeeper is told of Roles a moment after the API server
		if asksForToken(row.Request) && row.Policy == "" && changedBefore[row.Name].policy == "" {
			b.Eventually(t, func(ctx context.Context) error { return a.ask(ctx, row) })
		}
	}
	a.all(t, rows, true)
	t.Logf("%d of %d rows were asked", len(rows), len(table))
}

// constraintsOf are the Constraints among objects.
func constraintsOf(objects bed.Objects) (constraints bed.Objects) {
	for _, object := range objects {
		if object.GroupVersionKind().Group == "constraints.gatekeeper.sh" {
			constraints = append(constraints, object)
		}
	}
	return constraints
}

// constrain applies what is rendered as docs/admission.md has it: twice, since a Constraint's kind is there once Gatekeeper has
// seen its template. It waits until all of them are enforced, and returns the Constraints.
func constrain(t *testing.T, b *bed.Bed, g *bed.Gatekeeper, rendered bed.Objects) (constraints bed.Objects) {
	t.Helper()
	constraints = constraintsOf(rendered)
	rest := slices.DeleteFunc(slices.Clone(rendered), func(object *unstructured.Unstructured) bool { return slices.Contains(constraints, object) })
	if len(constraints) < 6 || len(constraints) != len(rest.Of("ConstraintTemplate")) {
		t.Fatalf("%d Constraints are rendered", len(constraints))
	}
	if err := b.TryApply(t.Context(), constraints[:1]); err == nil || !strings.Contains(err.Error(), "no matches for kind") {
		t.Errorf("a Constraint without its template: %v", err)
	}
	applyAll(t, b, rest)
	b.Eventually(t, func(ctx context.Context) error { return b.TryApply(ctx, constraints) })
	b.Eventually(t, func(ctx context.Context) error { return g.Enforced(ctx, constraints) })
	return constraints
}
