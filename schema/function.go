package schema

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// The kinds of a functionConfig, each a mode of the KRM function.
const (
	KindGenerator   = kindTenantSet       // its own content is expanded and appended
	KindTransformer = "TenantTransformer" // Platforms and Tenants among the items are expanded and removed
	KindValidator   = "TenantValidator"   // Platforms and Tenants among the items are checked, and the fence is proven; none is returned
)

// functionKinds configure the function and say nothing of tenants.
var functionKinds = []string{KindTransformer, KindValidator}

// IsKind tells whether a kind is one of ours.
func IsKind(kind string) bool {
	return slices.Contains([]string{kindPlatform, kindTenant, kindTenantSet}, kind) || slices.Contains(functionKinds, kind)
}

// Function is a functionConfig.
type Function struct {
	Kind    string // one of the kinds above
	Cluster string // of a KindTransformer: the Platform to expand for, "" for the only one
}

// DecodeFunction reads a functionConfig. Of a TenantSet it looks at the kind
// only; the content is Decode's.
func DecodeFunction(src Source) (Function, problem.List) {
	dec := &decoder{}
	doc := &document{subject: src.Subject, root: (&builder{dec: dec, subject: src.Subject}).document(src.Node)}
	kinds := append([]string{KindGenerator}, functionKinds...)
	kind := doc.root.get("kind").str()
	switch {
	case len(dec.problems) > 0:
	case doc.root == nil || doc.root.kind != mapNode:
		dec.report(problem.Problem{
			Rule: problem.FieldType, Position: problem.Position{Subject: src.Subject},
			Message: "this is no map", Hint: "a functionConfig is an object with apiVersion, kind and metadata",
		})
	case doc.root.get("apiVersion").str() != APIVersion || !slices.Contains(kinds, kind):
		dec.report(problem.Problem{
			Rule: problem.KindUnknown, Position: problem.Position{Subject: src.Subject},
			Message: "functionConfig " + problem.Quote(doc.root.get("apiVersion").str()+" "+kind) + " is not known",
			Hint:    "kinds of " + APIVersion + " are TenantSet (generators), TenantTransformer (transformers) and TenantValidator (validators)",
		})
	case kind != KindGenerator:
		dec.validate(doc, "#"+kind, "", doc.root)
	}
	return Function{Kind: kind, Cluster: doc.root.at("spec.cluster").str()}, dec.problems.Sorted()
}
