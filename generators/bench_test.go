package generators

import (
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

func BenchmarkExpandTenant(b *testing.B) {
	x := New(platformOn(b, "2.9.0", eso.Options{Trims: eso.Trims()}))
	tenant := someTenant()
	for b.Loop() {
		if len(x.Tenant(tenant)) == 0 {
			b.Fatal("nothing")
		}
	}
}
