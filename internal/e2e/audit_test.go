package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

const auditedTenant = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: audited}
spec: {namespaces: {audited: {stores: {vault: {provider: vault}}}}}
`

// auditReport is what audit prints for machines, as far as it is looked at here.
type auditReport struct {
	Problems []struct{ Rule, Message string }
	Audit    struct {
		Requests []struct {
			Requester, Namespace, ServiceAccount string
			Fenced                               bool
			Given, Refused                       int
			LifetimeMaxSeconds                   int64
			Audiences, Bindings                  []string
		}
		Coverage struct{ Events, NotJSON, Truncated, OtherKinds int }
	}
}

// audit says of the very log that this API server wrote what a reader of its own counts: what ESO was given for a fenced
// service account, for which audience and by which binding, and what others were refused.
func TestAuditReadsTheLog(t *testing.T) {
	b := bed.Start(t)
	rendered := b.Render(t, bed.Platform(), auditedTenant)
	b.Apply(t, rendered)
	ready(t, b, rendered, b.Furnish(t, rendered))
	if _, err := b.Mint(t.Context(), "audited", "vault-access-sa", []string{"vault"}, 600); err == nil {
		t.Fatal("an administrator may mint for a fenced service account")
	}
	if _, err := b.MintAs(t, bed.ESOServiceAccount, bed.ESONamespace, "audited", "vault-access-sa", []string{"elsewhere"}, 600); err == nil {
		t.Fatal("ESO may mint for another audience")
	}

	given, refused := 0, 0
	before := len(b.AuditEvents(t, bed.TokenRequests("audited", "vault-access-sa")))
	specification := filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(specification, []byte(bed.Platform()+"---"+auditedTenant), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := b.TryRun(t.Context(), "", "audit", specification, "--log", b.AuditLog(), "--format", "json")
	if out == "" {
		t.Fatal(err)
	}
	events := b.AuditEvents(t, bed.TokenRequests("audited", "vault-access-sa"))
	for _, event := range events {
		if event.ResponseStatus.Code < 300 {
			given++
		} else {
			refused++
		}
	}
	var report auditReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if c := report.Audit.Coverage; c.Events == 0 || c.NotJSON+c.OtherKinds > 0 {
		t.Errorf("of the log, this was read: %+v", c)
	}
	seen := false
	for _, row := range report.Audit.Requests {
		if row.Namespace != "audited" || !strings.HasSuffix(row.Requester, ":"+bed.ESOServiceAccount) {
			continue
		}
		seen = true
		// ESO mints anew at each of its reconciles, also between the two readings.
		if row.Given+row.Refused < before || row.Given > given || row.Refused != refused || !row.Fenced {
			t.Errorf("%+v; the log has %d given and %d refused, %d before", row, given, refused, before)
		}
		if !slices.Contains(row.Audiences, "vault") || row.LifetimeMaxSeconds == 0 {
			t.Errorf("%+v says no audience or no lifetime", row)
		}
		if !slices.ContainsFunc(row.Bindings, func(reason string) bool { return strings.Contains(reason, "eso-tenant-token-vault-access-sa/audited") }) {
			t.Errorf("%+v names no binding of ours", row)
		}
	}
	if !seen {
		t.Fatalf("audit saw nothing of ESO's requests:\n%s", out)
	}
	for _, want := range []string{"audit-refused"} {
		if !slices.ContainsFunc(report.Problems, func(p struct{ Rule, Message string }) bool {
			return p.Rule == want && strings.Contains(p.Message, "audited/vault-access-sa")
		}) {
			t.Errorf("there is no %s of audited/vault-access-sa: %+v", want, report.Problems)
		}
	}
}
