package admissioncheck

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// stamped is a request for something new as a policy sees it: the API server has noted the time in what is made.
func stamped(when string, q request) request {
	at, err := time.Parse(time.RFC3339, when)
	if err != nil {
		panic(err)
	}
	if object, is := q.object.(metav1.Object); is {
		object.SetCreationTimestamp(metav1.NewTime(at))
	}
	return q
}

const (
	before = "2027-02-01T10:00:00Z"
	last   = "2027-03-31T23:59:59Z"
	after  = "2027-04-01T00:00:00Z"
)

// exemptionDecisions are about what policies let through all the same: the very thing that is exempt, and, one by one, all that
// is not quite it.
func exemptionDecisions() []decision {
	all := slices.Concat(
		exemptionOf("a token", byFence, true, func(who user.Info, namespace, name string) request { return mint(who, namespace, name) }, "vault-access-sa", "wide-access-sa"),
		exemptionOf("a pod", byPod, false, pod, "vault-access-sa", "wide-access-sa"),
		exemptionOf("a token Secret", byTenant, true, func(who user.Info, namespace, name string) request { return secret(who, namespace, tokenType, name) }, "default", "vault-access-sa"),
		exemptionOf("a store", byCatalogue, true, func(who user.Info, namespace, name string) request {
			return makes(who, secretStore, namespace+"/"+name, foreign)
		}, "odd", "other"),
		exemptionOf("keys", byPrefix, false, func(who user.Info, namespace, name string) request {
			return makes(who, externalSecret, namespace+"/"+name, elsewhere)
		}, "odd", "other"),
	)
	return append(
		all,
		decision{"exempt: a store of another kind", stamped(before, makes(debugger, sharedStore, "/odd", but(everyone, "vault.example.com", "else.example.com"))), byCatalogue},
		decision{"exempt: a store is changed", stamped(before, changes(debugger, secretStore, "lent/odd", vault, foreign)), byCatalogue},
		decision{"exempt: keys are changed", stamped(before, changes(member, externalSecret, "lent/odd", asks, elsewhere)), byPrefix},
		decision{"exempt: a token Secret is given an account", stamped(before, secretChange(debugger, "lent", tokenType, "", "default")), byTenant},
		decision{"exempt: ESO's mint is", stamped(before, mint(controller, "lent", "vault-access-sa", audiences("else"))), byAudience},
	)
}

var (
	foreign   = but(vault, "vault.example.com", "else.example.com")
	elsewhere = `{spec: {secretStoreRef: {name: vault, kind: SecretStore}, data: [{remoteRef: {key: else/a}}]}}`
)

func exemptionOf(what, refusal string, named bool, ask func(who user.Info, namespace, name string) request, name, other string) []decision {
	what = "exempt: " + what
	all := []decision{
		{what + ", on the last day", stamped(last, ask(debugger, "lent", name)), ""},
		{what + ", after it", stamped(after, ask(debugger, "lent", name)), refusal},
		{what + ", without a time", ask(debugger, "lent", name), refusal},
		{what + ", by the group", stamped(before, ask(debugging, "lent", name)), ""},
		{what + ", in another namespace", stamped(before, ask(debugger, "web", name)), refusal},
		{what + ", of another name", stamped(before, ask(debugger, "lent", other)), refusal},
	}
	if named {
		return append(all, decision{what + ", by somebody else", stamped(before, ask(member, "lent", name)), refusal},
			decision{what + ", by an administrator", stamped(before, ask(administrator, "lent", name)), refusal})
	}
	for _, account := range []string{"blue-external-secrets", "blue-webhook", "external-secrets-webhook", "blue-cert-controller", "external-secrets-cert-controller"} {
		all = append(all, decision{what + ", by " + account, stamped(before, ask(accountOf(account), "lent", name)), refusal})
	}
	return append(all, decision{what + ", by anybody", stamped(before, ask(member, "lent", name)), ""})
}

func accountOf(name string) user.Info { return account("eso", name) }

// TestExemptionsTakenOut: a row is decided on by the exemption, and not by anything else: without it, all are refused.
func TestExemptionsTakenOut(t *testing.T) {
	c := render(t, "    exemptions:\n", "    #\n", "      tokens: {", "      # {", "      pods: {", "      # {", "      secrets: {", "      # {", "      stores: {", "      # {", "      keys: {", "      # {")
	hooks := c.hooks()
	for _, d := range exemptionDecisions() {
		if v := c.judge(t, hooks, d.request); v.refused == "" {
			t.Errorf("%s: let through without an exemption", d.name)
		}
	}
}
