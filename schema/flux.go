package schema

import (
	"cmp"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// flux reads how Flux finds the rendered folder.
func (r *platformReader) flux(n *node) *Flux {
	if n == nil {
		return nil
	}
	ref := n.get("sourceRef")
	f := &Flux{
		SourceKind:         ref.get("kind").str(),
		SourceName:         ref.get("name").str(),
		SourceNamespace:    ref.get("namespace").str(),
		OCI:                readFluxOCI(n.get("oci")),
		Path:               strings.Trim(strings.TrimPrefix(n.get("path").str(), "./"), "/"),
		Namespace:          cmp.Or(n.get("namespace").str(), defaultFluxNamespace),
		Interval:           cmp.Or(n.get("interval").str(), FluxInterval),
		ServiceAccountName: n.get("serviceAccountName").str(),
	}
	switch oci := n.get("oci"); {
	case anyBad(n):
	case ref == nil && oci == nil:
		r.report(n, problem.FluxSource, "flux", "this names no source", "state sourceRef, a source that holds the rendered folder, or oci, where push puts artifacts")
	case ref != nil && oci != nil:
		r.report(oci, problem.FluxSource, "flux.oci", "there is a sourceRef beside it", "state one of them: sourceRef for one source with the whole folder, oci for an artifact for each tenant")
	case oci != nil && n.get("path") != nil:
		r.report(n.get("path"), problem.FluxSource, "flux.path", "artifacts of their own have no path", "remove it; oci.url says where they are")
	}
	r.fluxVerify(n.get("oci").get("verify"))
	return f
}

// fluxVerify refuses what would let everybody's signature pass.
func (r *platformReader) fluxVerify(n *node) {
	if n == nil || anyBad(n) {
		return
	}
	const at = "flux.oci.verify"
	keys, identities := n.get("secretRef"), n.get("matchOIDCIdentity")
	switch {
	case n.get("provider").str() == "notation" && keys == nil:
		r.report(n, problem.FluxSource, at, "notation needs a secretRef", "name the Secret with its trust policy and certificates")
	case keys == nil && (identities == nil || len(identities.items) == 0):
		r.report(n, problem.FluxSource, at, "anybody's keyless signature would do", "state matchOIDCIdentity, or a secretRef with public keys")
	}
}

func readFluxOCI(n *node) *FluxOCI {
	if n == nil {
		return nil
	}
	o := &FluxOCI{
		URL:            n.get("url").str(),
		Tag:            cmp.Or(n.get("tag").str(), defaultFluxTag),
		Interval:       cmp.Or(n.get("interval").str(), defaultFluxLook),
		Provider:       n.get("provider").str(),
		SecretName:     n.at("secretRef.name").str(),
		CertSecretName: n.at("certSecretRef.name").str(),
		Insecure:       n.get("insecure").isTrue(),
	}
	if v := n.get("verify"); v != nil {
		o.Verify = &FluxVerify{Provider: v.get("provider").str(), SecretName: v.at("secretRef.name").str()}
		for _, id := range v.get("matchOIDCIdentity").list() {
			o.Verify.Identities = append(o.Verify.Identities, FluxIdentity{Issuer: id.get("issuer").str(), Subject: id.get("subject").str()})
		}
	}
	return o
}
