package rbac

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

func rulesFor(verbs, groups, resources, names []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: resources, ResourceNames: names}
}

func ruleOn(verb, resource string, names ...string) rbacv1.PolicyRule {
	return rulesFor([]string{verb}, []string{""}, []string{resource}, names)
}

func pathRule(verb string, urls ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, NonResourceURLs: urls}
}

// One rule and one request, each as Kubernetes' own authorizer decides it.
func TestRuleAllows(t *testing.T) {
	mint := Request{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: "vault", Namespace: "web"}
	unnamed := Request{Verb: "create", Resource: "secrets", Namespace: "web"}
	tests := map[string]struct {
		rule    rbacv1.PolicyRule
		request Request
		want    bool
	}{
		"exact":                            {ruleOn("create", "serviceaccounts/token"), mint, true},
		"resource and subresource in one":  {ruleOn("create", "*/token"), Request{Verb: "create", Resource: "serviceaccounts/token"}, true},
		"another verb":                     {ruleOn("get", "serviceaccounts/token"), mint, false},
		"every verb":                       {ruleOn("*", "serviceaccounts/token"), mint, true},
		"a verb is no pattern":             {ruleOn("cre*", "serviceaccounts/token"), mint, false},
		"another case":                     {ruleOn("Create", "serviceaccounts/token"), mint, false},
		"another group":                    {rulesFor([]string{"create"}, []string{"authentication.k8s.io"}, []string{"serviceaccounts/token"}, nil), mint, false},
		"every group":                      {rulesFor([]string{"create"}, []string{"*"}, []string{"serviceaccounts/token"}, nil), mint, true},
		"no group":                         {rulesFor([]string{"create"}, nil, []string{"serviceaccounts/token"}, nil), mint, false},
		"every resource":                   {ruleOn("create", "*"), mint, true},
		"the subresource of every one":     {ruleOn("create", "*/token"), mint, true},
		"another subresource of every one": {ruleOn("create", "*/status"), mint, false},
		"a suffix of the subresource":      {ruleOn("create", "*/oken"), mint, false},
		"every subresource of one":         {ruleOn("create", "serviceaccounts/*"), mint, false},
		"every subresource of every one":   {ruleOn("create", "*/*"), mint, false},
		"the resource without it":          {ruleOn("create", "serviceaccounts"), mint, false},
		"the subresource alone":            {ruleOn("create", "token"), mint, false},
		"a subresource for the resource":   {ruleOn("create", "*/secrets"), unnamed, false},
		"a resource is no pattern":         {ruleOn("create", "secret*"), unnamed, false},
		"no rule but a path":               {pathRule("create", "*"), mint, false},

		"the name":                           {ruleOn("create", "serviceaccounts/token", "aws", "vault"), mint, true},
		"other names":                        {ruleOn("create", "serviceaccounts/token", "aws"), mint, false},
		"a name is no pattern":               {ruleOn("create", "serviceaccounts/token", "*"), mint, false},
		"an empty list of names":             {rulesFor([]string{"create"}, []string{""}, []string{"serviceaccounts/token"}, []string{}), mint, true},
		"a name, and create has none":        {ruleOn("create", "secrets", "x"), unnamed, false},
		"a name, and create by apply":        {ruleOn("create", "secrets", "x"), Request{Verb: "create", Resource: "secrets", Name: "x"}, true},
		"a name, and list has none":          {ruleOn("list", "secrets", "x"), Request{Verb: "list", Resource: "secrets"}, false},
		"a name, and list by field selector": {ruleOn("list", "secrets", "x"), Request{Verb: "list", Resource: "secrets", Name: "x"}, true},
		"the empty name, and list has none":  {ruleOn("list", "secrets", "x", ""), Request{Verb: "list", Resource: "secrets"}, true},
		"any name, and create has none":      {ruleOn("create", "secrets"), unnamed, true},

		"the path":                    {pathRule("get", "/metrics"), Request{Verb: "get", NonResourceURL: "/metrics"}, true},
		"another path":                {pathRule("get", "/metrics"), Request{Verb: "get", NonResourceURL: "/metrics/slis"}, false},
		"every path":                  {pathRule("get", "*"), Request{Verb: "get", NonResourceURL: "/metrics"}, true},
		"below a path":                {pathRule("get", "/healthz/*"), Request{Verb: "get", NonResourceURL: "/healthz/etcd"}, true},
		"below a path, and itself":    {pathRule("get", "/healthz/*"), Request{Verb: "get", NonResourceURL: "/healthz"}, false},
		"many stars are one":          {pathRule("get", "/health**"), Request{Verb: "get", NonResourceURL: "/healthz"}, true},
		"a star inside is none":       {pathRule("get", "/*/etcd"), Request{Verb: "get", NonResourceURL: "/healthz/etcd"}, false},
		"another verb on a path":      {pathRule("post", "/metrics"), Request{Verb: "get", NonResourceURL: "/metrics"}, false},
		"every verb on a path":        {pathRule("*", "/metrics"), Request{Verb: "get", NonResourceURL: "/metrics"}, true},
		"resources are no path":       {ruleOn("*", "*"), Request{Verb: "get", NonResourceURL: "/metrics"}, false},
		"a request for every one":     {ruleOn("get", "*"), Request{Verb: "get", Resource: "*"}, true},
		"and a rule for one":          {ruleOn("get", "secrets"), Request{Verb: "get", Resource: "*"}, false},
		"a rule that says nothing":    {rbacv1.PolicyRule{}, mint, false},
		"a verb of the new kind":      {ruleOn("impersonate-on:serviceaccount:get", "pods"), Request{Verb: "impersonate-on:serviceaccount:get", Resource: "pods"}, true},
		"is not in the old":           {ruleOn("impersonate", "serviceaccounts"), Request{Verb: "impersonate:serviceaccount", Resource: "serviceaccounts"}, false},
		"a longer subresource":        {ruleOn("get", "nodes/proxy"), Request{Verb: "get", Resource: "nodes", Subresource: "proxy/logs"}, false},
		"a longer one of every other": {ruleOn("get", "*/proxy/logs"), Request{Verb: "get", Resource: "nodes", Subresource: "proxy/logs"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			q := test.request.question()
			if got := q.allowedBy(&test.rule); got != test.want {
				t.Errorf("%+v and %v: allowed %t, want %t", test.request, test.rule, got, test.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	owner := []rbacv1.PolicyRule{ruleOn("create", "serviceaccounts/token", "a"), ruleOn("create", "serviceaccounts/token", "b"), ruleOn("get", "*/status")}
	tests := map[string]struct {
		wanted  rbacv1.PolicyRule
		missing int
	}{
		"names from two rules":       {ruleOn("create", "serviceaccounts/token", "a", "b"), 0},
		"one name more":              {ruleOn("create", "serviceaccounts/token", "a", "c"), 1},
		"any name":                   {ruleOn("create", "serviceaccounts/token"), 1},
		"a subresource of every one": {ruleOn("get", "pods/status"), 0},
		"every verb":                 {ruleOn("*", "pods/status"), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			covered, missing := Covers(owner, []rbacv1.PolicyRule{test.wanted})
			if covered != (test.missing == 0) || len(missing) != test.missing {
				t.Errorf("covered %t, missing %v, want %d", covered, missing, test.missing)
			}
		})
	}
}
