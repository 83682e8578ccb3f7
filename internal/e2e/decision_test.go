package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// unasked are the rows that nobody can ask an API server, and why.
var unasked = map[string]string{
	"T13 by a generated name":                    "a generated name is a fenced one by chance alone",
	"a Secret given an account":                  "a Secret of this type always names an account",
	"a pod's logs":                               "logs are only read",
	"T8 a member changes a binding of the fence": "nobody changes what a binding binds to",
	"exempt: a token Secret is given an account": "a Secret of this type always names an account",
	"exempt: a store, by the group":              byName,
	"exempt: a store, on the last day":           byName,
	"exempt: keys, by anybody":                   byName,
	"exempt: keys, by the group":                 byName,
	"exempt: keys, on the last day":              byName,
	"exempt: a pod, after it":                    byItsClock,
	"exempt: a pod, without a time":              byItsClock,
	"exempt: a store, after it":                  byItsClock,
	"exempt: a store, without a time":            byItsClock,
	"exempt: a token Secret, after it":           byItsClock,
	"exempt: a token Secret, without a time":     byItsClock,
	"exempt: a token, after it":                  byItsClock,
	"exempt: a token, without a time":            byItsClock,
	"exempt: keys, after it":                     byItsClock,
	"exempt: keys, without a time":               byItsClock,
}

const byName = "what is made here has a name of its own, and an exemption is of one name: TestExemptions asks so"

const byItsClock = "the API server writes the time itself"

// changedBefore are the rows that the API server changes before it decides.
var changedBefore = map[string]struct{ why, policy, says string }{
	"no life":       {"the API server fills in an hour", "", ""},
	"no audience":   {"the API server fills in its own audiences", "mint", "may not mint tokens of"},
	"an empty list": {"the API server fills in its own audiences", "mint", "may not mint tokens of"},
}

// either are the rows that a second policy refuses, too: which of them the API server names is chance.
var either = map[string]struct{ policy, says string }{
	"the webhook":         {"minter", "only External Secrets Operator may mint tokens"},
	"the cert-controller": {"minter", "only External Secrets Operator may mint tokens"},
	"its own account":     {"minter", mintsOwn},

	"blue-cert-controller's token for itself":             {"minter", mintsOwn},
	"blue-external-secrets's token for itself":            {"minter", mintsOwn},
	"blue-webhook's token for itself":                     {"minter", mintsOwn},
	"external-secrets-cert-controller's token for itself": {"minter", mintsOwn},
	"external-secrets-webhook's token for itself":         {"minter", mintsOwn},
}

const mintsOwn = "only a kubelet may mint tokens of External Secrets Operator's own service accounts"

// refuser finds who refuses, in the API server's words or Gatekeeper's, and what it says.
var refuser = regexp.MustCompile(`(?s)(?:ValidatingAdmissionPolicy '|denied the request: \[)eso-tenant-blue-([a-z-]+)(?:' with binding '[^']+' denied request:|\]) (.*)`)

// The API server decides on real requests as its evaluator does in process. Without the bindings, it lets all of them
// through, so that it is the policies that refuse.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Bare: true})
	table, specification := decisionTable(t)
	rows := slices.DeleteFunc(slices.Clone(table), func(row decision) bool { return unasked[row.Name] != "" })
	if len(rows) < len(table)-len(unasked) || len(table) < 400 {
		t.Fatalf("of %d rows %d are asked, and %d are known that cannot be", len(table), len(rows), len(unasked))
	}
	rendered := b.Render(t, specification)
	policies, bindings := rendered.Of("ValidatingAdmissionPolicy"), rendered.Of("ValidatingAdmissionPolicyBinding")
	fence := rendered.Not("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy")

	without, with := newAsker(t, b, "without", "break-glass", table), newAsker(t, b, "with", "break-glass", table)
	b.Apply(t, permissiveKinds(table))
	b.Apply(t, namespacesOf(rendered))
	for _, a := range []*asker{without, with} {
		if err := a.stage(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	b.Apply(t, fence.Of("Namespace"))
	if err := applyBeside(t.Context(), b, fence); err != nil {
		t.Fatal(err)
	}
	t.Run("without bindings", func(t *testing.T) { without.all(t, rows, false) })

	b.Apply(t, policies)
	without.restore(t, rows, fence)
	b.Apply(t, bindings)
	t.Run("with bindings", func(t *testing.T) { with.all(t, rows, true) })

	for _, name := range slices.Sorted(maps.Keys(unasked)) {
		t.Logf("not asked: %s: %s", name, unasked[name])
	}
	for _, name := range slices.Sorted(maps.Keys(changedBefore)) {
		t.Logf("asked otherwise: %s: %s", name, changedBefore[name].why)
	}
	t.Logf("%d of %d rows were asked", len(rows), len(table))
}

// all asks all rows, those about different objects at the same time.
func (a *asker) all(t *testing.T, rows []decision, policies bool) {
	t.Helper()
	for number := range 3 {
		places := map[string][]decision{}
		for _, row := range rows {
			if phase(row.Request) == number {
				places[a.place(row)] = append(places[a.place(row)], row)
			}
		}
		if policies {
			a.inForce(t, rows, number)
		}
		var group errgroup.Group
		group.SetLimit(8)
		for _, place := range places {
			group.Go(func() error {
				for _, row := range place {
					a.one(t, row, policies)
				}
				return nil
			})
		}
		_ = group.Wait() // what is wrong, fails the test
	}
}

// one holds the API server's answer to a row.
func (a *asker) one(t *testing.T, row decision, policies bool) {
	t.Helper()
	policy, says := "", ""
	if policies {
		policy, says = row.Policy, row.Says
		if other, found := changedBefore[row.Name]; found {
			policy, says = other.policy, other.says
		}
	}
	err := a.ask(t.Context(), row)
	if policy == "" {
		if err != nil {
			t.Errorf("%s: %v, want that it is let through", row.Name, err)
		}
		return
	}
	by, message := refusal(err)
	if other, found := either[row.Name]; found && by == other.policy {
		policy, says = other.policy, other.says
	}
	if by != policy || !strings.Contains(message, says) {
		t.Errorf("%s: %v, want a refusal by %s that says %q", row.Name, err, policy, says)
	}
}

// refusal returns the policy of ours that refused, and what it said; nothing, if none did.
func refusal(err error) (policy, message string) {
	if err == nil {
		return "", ""
	}
	if found := refuser.FindStringSubmatch(err.Error()); found != nil {
		return found[1], found[2]
	}
	return "", ""
}

// inForce waits until each policy that refuses something in a phase does so: the API server takes a moment to know them.
func (a *asker) inForce(t *testing.T, rows []decision, number int) {
	t.Helper()
	known := map[string]bool{"": true}
	for _, row := range rows {
		q := row.Request
		if known[row.Policy] || phase(q) != number || !byItsName(q) && q.Operation != admissionv1.Create && q.Operation != admissionv1.Connect {
			continue
		}
		known[row.Policy] = true
		attempt := 0
		a.b.Eventually(t, func(ctx context.Context) error {
			attempt++
			probe := &asker{b: a.b, writer: a.writer, run: a.run, index: a.index, users: map[string]*bed.API{}}
			if q.Operation == admissionv1.Create {
				probe.run = fmt.Sprintf("probe-%d", attempt)
			}
			err := probe.ask(ctx, row)
			if by, _ := refusal(err); by == "" {
				return errors.Join(fmt.Errorf("the policy %s has no effect on %q", row.Policy, row.Name), err)
			}
			return nil
		})
	}
}

// restore takes away what rows had put in the fence's place, and applies the fence.
func (a *asker) restore(t *testing.T, rows []decision, fence bed.Objects) {
	t.Helper()
	for _, row := range rows {
		if q := row.Request; phase(q) == 0 || q.Resource.Resource == "namespaces" {
			continue
		}
		if err := resource(a.b.API, row.Request).Delete(t.Context(), a.name(row), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	err := a.stage(t.Context(), rows)
	if err == nil {
		err = applyBeside(t.Context(), a.b, fence)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// namespacesOf are those that objects are in, as they are before anything of ours is.
func namespacesOf(objects bed.Objects) bed.Objects {
	var all bed.Objects
	made := map[string]bool{"": true}
	for _, object := range objects {
		if name := object.GetNamespace(); !made[name] {
			made[name] = true
			all = append(all, plainObject("Namespace", "", name))
		}
	}
	return all
}
