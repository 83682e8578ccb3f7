package schema

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everyField lists all fields that Describe leads to from the kinds of document, each as its holder shows it.
func everyField(t *testing.T) []Field {
	t.Helper()
	var all []Field
	shaper := newShaper()
	open := documentNames()
	for len(open) > 0 {
		f, err := shaper.describe(open[0])
		if err != nil {
			t.Fatal(err)
		}
		open = open[1:]
		for _, inner := range f.Fields {
			all, open = append(all, inner), append(open, inner.Path)
		}
	}
	return all
}

// TestEveryFieldIsDescribed: whatever Describe shows as held by something, it describes alike by its own path, and with a
// type in words.
func TestEveryFieldIsDescribed(t *testing.T) {
	all, shaper := everyField(t), newShaper()
	if len(all) < 300 {
		t.Errorf("only %d fields", len(all))
	}
	for _, shown := range all {
		f, err := shaper.describe(shown.Path)
		if err != nil {
			t.Errorf("%s: %v", shown.Path, err)
			continue
		}
		f.Fields = nil
		if diff := cmp.Diff(shown, f); diff != "" {
			t.Errorf("%s (-as held +by itself):\n%s", shown.Path, diff)
		}
		if f.Type == "" || strings.HasPrefix(f.Type, "anything") {
			t.Errorf("%s has type %q", f.Path, f.Type)
		}
	}
}

// withoutComment are fields that need no words.
var withoutComment = []string{"apiVersion", "kind", "metadata", "spec", "name", "namespace", "labels", "annotations"}

// TestEveryFieldHasAComment: an editor shows it, and so does explain.
func TestEveryFieldHasAComment(t *testing.T) {
	for _, f := range everyField(t) {
		if f.Doc == "" && !slices.Contains(withoutComment, lastKey(f.Path)) && !strings.Contains(f.Path, ".identity.") {
			t.Errorf("%s has no comment", f.Path)
		}
	}
}

func TestDescribe(t *testing.T) {
	const label = "a DNS label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit"
	tests := map[string]Field{
		"platform.spec.enforcement": {
			Path: "platform.spec.enforcement", Type: `"observe" or "enforce"`, Required: true,
			Doc: "observe leaves ESO's own role as it is, and admission policies warn; enforce trims the role, and policies refuse.",
		},
		"TENANT.metadata.name": {Path: "tenant.metadata.name", Type: label, Required: true, Doc: "The name of the tenant or of the cluster."},
		"tenant.spec.namespaces.quota": {
			Path: "tenant.spec.namespaces.<name>.quota", Doc: "A ResourceQuota's spec.hard.",
			Type: "a map from names to values, each a Kubernetes quantity such as 50, 500m or 2Gi",
		},
		"tenant.spec.clusters": {
			Path: "tenant.spec.clusters", Doc: "The Platforms that the tenant lives on; needed once there are several.",
			Type: "a list of texts, each " + label,
		},
		"tenant.spec.members[0].role": {
			Path: "tenant.spec.members[].role", Type: "a ClusterRole's name: one word without '/' and '%'", Required: true,
			Doc: "The ClusterRole that the member is given.",
		},
		"platform.spec.providers.vault.tls.certSecretRef": {
			Path: "platform.spec.providers.<name>.vault.tls.certSecretRef", Type: "a map", Doc: "The certificate.",
			Fields: []Field{
				{Path: "platform.spec.providers.<name>.vault.tls.certSecretRef.key", Type: "a text on one line", Doc: "Default: ESO's own, for the field."},
				{Path: "platform.spec.providers.<name>.vault.tls.certSecretRef.name", Type: "a DNS subdomain: DNS labels joined by '.'", Required: true, Doc: "The Secret's name."},
			},
		},
		"tenant.spec.namespaces.web.stores.main.identity.aws": {
			Path: "tenant.spec.namespaces.<name>.stores.<name>.identity.aws", Type: "a map",
			Fields: []Field{{
				Path: "tenant.spec.namespaces.<name>.stores.<name>.identity.aws.roleARN", Required: true,
				Type: "an IAM role ARN such as arn:aws:iam::123456789012:role/payments", Doc: "The IAM role that the service account assumes.",
			}},
		},
	}
	for path, want := range tests {
		got, err := Describe(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestDescribeNames: names of maps and places in lists are left out or written as anything.
func TestDescribeNames(t *testing.T) {
	const stores = "tenant.spec.namespaces.<name>.stores"
	tests := map[string]string{
		"tenant.spec.namespaces.stores":                                  stores,
		"tenant.spec.namespaces.<name>.stores":                           stores,
		"tenant.spec.namespaces.<any>.stores":                            stores,
		"tenant.spec.namespaces.web-prod.stores":                         stores,
		"tenant.spec.namespaces.web-prod":                                "tenant.spec.namespaces.<name>",
		"tenant.spec.namespaces.<name>":                                  "tenant.spec.namespaces.<name>",
		"tenant.spec.namespaces.stores.main.provider":                    stores + ".<name>.provider",
		"tenant.spec.namespaces.stores.provider":                         stores + ".<name>.provider",
		"tenant.spec.namespaces.web.stores.main.identity.role":           stores + ".<name>.identity.role",
		"tenant.spec.namespaces.web.stores.identity.vault-jwt.role":      stores + ".<name>.identity.vault-jwt.role",
		`tenant.spec.namespaces.web.labels."example.com/team"`:           "tenant.spec.namespaces.<name>.labels.<name>",
		"tenant.spec.members.kind":                                       "tenant.spec.members[].kind",
		"tenant.spec.namespaces.podSecurity.warn":                        "tenant.spec.namespaces.<name>.podSecurity.warn",
		"platform.spec.providers.vault-prod.vault.server":                "platform.spec.providers.<name>.vault.server",
		"tenantset.spec.tenants.web.namespaces.web.manage":               "tenantset.spec.tenants.<name>.namespaces.<name>.manage",
		"tenantset.spec.platform.providers.custom.serviceAccountRef":     "tenantset.spec.platform.providers.<name>.custom.serviceAccountRef",
		"TenantTransformer.spec.cluster":                                 "tenanttransformer.spec.cluster",
		"tenant.spec.namespaces.web.limits[2].maxLimitRequestRatio.pods": "tenant.spec.namespaces.<name>.limits[].maxLimitRequestRatio.<name>",
	}
	for path, want := range tests {
		if got, err := Describe(path); err != nil || got.Path != want {
			t.Errorf("%s: got %q, %v; want %q", path, got.Path, err, want)
		}
	}
}

// TestDescribeUnknown: the error says which part is not known, and what is near.
func TestDescribeUnknown(t *testing.T) {
	tests := map[string]string{
		"":                               `there is no kind ""; a path begins with platform, tenant, tenantset, tenanttransformer or tenantvalidator`,
		"tennant.spec":                   `there is no kind "tennant"; did you mean tenant?`,
		"tenant.spec.namespace":          `tenant.spec has no field "namespace"; did you mean tenant.spec.namespaces?`,
		"tenant.spec.namespaces.stroes":  `tenant.spec.namespaces.<name> has no field "stroes"; did you mean tenant.spec.namespaces.<name>.stores?`,
		"tenant.namespaces":              `tenant has no field "namespaces"; did you mean tenant.spec.namespaces?`,
		"tenant.spec.members.x":          `tenant.spec.members[] has no field "x"; fields there are kind, name, namespace, role`,
		"tenant.metadata.name.x":         `tenant.metadata.name has no field "x"; it is a DNS label`,
		"tenantvalidator.spec":           `tenantvalidator has no field "spec"; fields there are apiVersion, kind, metadata`,
		"platform.spec.providers.x.y":    `platform.spec.providers.<name> has no field "y"; fields there are akeyless, audiences, aws`,
		"platform.spec.sourceRef":        `platform.spec has no field "sourceRef"; did you mean platform.spec.flux.sourceRef?`,
		"tenant.spec.namespaces.a.b.c.d": `tenant.spec.namespaces.<name> has no field "b"`,
	}
	for path, want := range tests {
		got, err := Describe(path)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v; want %s", path, err, want)
		}
		if got.Path != "" {
			t.Errorf("%q: a field beside the error: %v", path, got)
		}
	}
}

// TestIdentityMethodsAgree: a field of an identity means the same in each method, so that one schema fits any.
func TestIdentityMethodsAgree(t *testing.T) {
	identity := newShaper().identity("")
	if len(identity.methods) < 10 {
		t.Fatalf("only %d methods", len(identity.methods))
	}
	for _, method := range identity.methods {
		for _, f := range method.shape.fields {
			if all := identity.field(f.name).shape; all.pattern != f.shape.pattern || all.form != f.shape.form {
				t.Errorf("%s.%s takes %s; elsewhere it takes %s", method.name, f.name, f.shape.inWords(), all.inWords())
			}
		}
	}
}
