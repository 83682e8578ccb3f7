package admissioncheck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	ours "github.com/eso-tenant/eso-tenant/internal/audit"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"pgregory.net/rapid"
)

// evaluator is the API server's own, of a policy as it loads one.
func evaluator(t rapid.TB, text string) audit.PolicyRuleEvaluator {
	loaded, err := policy.LoadPolicyFromBytes([]byte(text))
	if err != nil {
		t.Fatalf("the API server does not take this: %v\n%s", err, text)
	}
	return policy.NewPolicyRuleEvaluator(loaded)
}

// asked is a kind of request that a policy has to log, and how.
type asked struct {
	verb, group, resource, subresource string
	allowed                            []auditinternal.Level
}

func allAsked() []asked {
	const none, metadata, request, response = auditinternal.LevelNone, auditinternal.LevelMetadata, auditinternal.LevelRequest, auditinternal.LevelRequestResponse
	all := []asked{
		{"create", "", "serviceaccounts", "token", []auditinternal.Level{request}},
		{"get", "", "secrets", "", []auditinternal.Level{none, metadata}},
		{"list", "", "secrets", "", []auditinternal.Level{none, metadata}},
		{"create", "authentication.k8s.io", "tokenreviews", "", []auditinternal.Level{none, metadata}},
	}
	for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
		all = append(
			all,
			asked{verb, "", "secrets", "", []auditinternal.Level{metadata}},
			asked{verb, "", "serviceaccounts", "", []auditinternal.Level{metadata, request, response}},
			asked{verb, "rbac.authorization.k8s.io", "rolebindings", "", []auditinternal.Level{metadata, request, response}},
			asked{verb, "admissionregistration.k8s.io", "validatingadmissionpolicies", "", []auditinternal.Level{metadata, request, response}},
		)
	}
	return all
}

// wrongly are the requests that the API server would log otherwise than asked.
func wrongly(e audit.PolicyRuleEvaluator) []string {
	var all []string
	for _, a := range allAsked() {
		for _, who := range []user.Info{
			&user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}},
			&user.DefaultInfo{Name: "system:node:n1", Groups: []string{"system:nodes", "system:authenticated"}},
		} {
			for _, of := range []struct{ namespace, name string }{{"web", "x"}, {"web", "y"}, {"kube-system", "x"}} {
				level := a.level(e, who, of.namespace, of.name)
				if !slices.Contains(a.allowed, level) {
					all = append(all, fmt.Sprint(a.verb, " ", a.resource, "/", a.subresource, " by ", who.GetName(), " of ", of, " at ", level))
				}
			}
		}
	}
	return all
}

// level is the one at which the answer is logged.
func (a *asked) level(e audit.PolicyRuleEvaluator, who user.Info, namespace, name string) auditinternal.Level {
	config := e.EvaluatePolicyRule(authorizer.AttributesRecord{
		User: who, Verb: a.verb, Namespace: namespace, APIGroup: a.group, APIVersion: "v1", Resource: a.resource, Subresource: a.subresource, Name: name, ResourceRequest: true,
	})
	if slices.Contains(config.OmitStages, auditinternal.StageResponseComplete) {
		return auditinternal.LevelNone
	}
	return config.Level
}

func TestAuditPolicyText(t *testing.T) {
	if wrong := wrongly(evaluator(t, ours.PolicyText)); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// anyPolicy is a policy that the API server takes.
func anyPolicy(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"
	for range rapid.IntRange(1, 5).Draw(t, "rules") {
		text += "- level: " + pick("level", "None", "Metadata", "Request", "RequestResponse") + "\n" +
			pick("users", "", "", "  users: [alice]\n", "  userGroups: [system:nodes]\n", "  userGroups: [system:authenticated]\n") +
			pick("verbs", "", "", "  verbs: [create]\n", "  verbs: [get, list, update, delete]\n") +
			pick("stages", "", "", "  omitStages: [RequestReceived]\n", "  omitStages: [ResponseComplete]\n") +
			pick(
				"of", "", "", "  nonResourceURLs: ['/healthz*']\n", "  namespaces: [web]\n",
				"  resources: [{group: '', resources: ["+pick("resource", "serviceaccounts", "serviceaccounts/token", "'*/token'", "'serviceaccounts/*'", "secrets", "'*'", "pods")+"]}]\n",
				"  resources: [{group: '', resources: [secrets, serviceaccounts], resourceNames: [x]}]\n", "  resources: [{group: ''}]\n", "  resources: [{group: '*', resources: ['*']}]\n",
				"  resources: [{group: rbac.authorization.k8s.io}, {group: authentication.k8s.io, resources: [tokenreviews]}]\n",
			)
	}
	return text
}

// What we pass, the API server logs as asked; and what we merged as well.
func TestAuditPolicyAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyPolicy(t)
		wrong := wrongly(evaluator(t, text))
		p, problems := ours.ParsePolicy("p.yaml", strings.NewReader(text))
		if len(problems) > 0 {
			t.Fatalf("%s\n%s", problems[0].Line(), text)
		}
		if found := p.Check(); len(wrong) > 0 && len(found) == 0 {
			t.Errorf("passed, but the API server logs %v\n%s", wrong, text)
		}
		merged, _, problems, err := p.Merge()
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %v\n%s", err, problems, text)
		}
		if wrong := wrongly(evaluator(t, string(merged))); len(wrong) > 0 {
			t.Errorf("merged, the API server logs %v\n%s\n%s", wrong, text, merged)
		}
	})
}
