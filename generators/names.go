package generators

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/eso-tenant/eso-tenant/schema"
)

// prefix is what the name of every generated object begins with, but for
// namespaces, service accounts and stores, which the specification names.
const prefix = "eso-tenant-"

// Names of the one object of its kind in a tenant's namespace.
const (
	nameQuota       = prefix + "quota"
	nameLimits      = prefix + "limits"
	nameDefaultDeny = prefix + "default-deny"
	nameAllowDNS    = prefix + "allow-dns"
	nameWrites      = prefix + "writes"
)

// nameToken is of the Role, and its binding, that allow tokens of one service
// account.
func nameToken(serviceAccount string) string { return prefix + "token-" + serviceAccount }

// nameRead is of the Role, and its binding, that let a service account read
// Secrets of a namespace that is not its own. No namespace's name has a dot,
// so the name stands for one service account only.
func nameRead(namespace, serviceAccount string) string {
	return prefix + "read-" + namespace + "." + serviceAccount
}

// nameMember is of a member's RoleBinding. Groups and roles have names that no
// object can have, so a digest keeps two of them apart.
func nameMember(m schema.Member) string {
	sum := sha256.Sum256([]byte(m.Kind + "\x00" + m.Namespace + "\x00" + m.Name + "\x00" + m.Role))
	return prefix + "member-" + Slug(m.Name) + "-" + hex.EncodeToString(sum[:5])
}

// fileNamespace is the file of a namespace's objects, without its ending. No
// namespace's name has a dot, so the second form is no other namespace's.
func fileNamespace(namespace string) string {
	if namespace == "kustomization" {
		return "namespace.kustomization"
	}
	return namespace
}

// Slug keeps of a text what an object's name may hold.
func Slug(s string) string {
	cut := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, s)
	if len(cut) > 40 {
		cut = cut[:40]
	}
	return strings.Trim(cut, "-")
}

// nameRelease is of the Platform's own objects. It begins with our prefix and
// not with the release's name: an object that Helm once made under a name it
// would delete again at the next upgrade.
func nameRelease(p *schema.Platform, what string) string {
	return prefix + p.ESO.HelmRelease + "-" + what
}

// fileAdmission is what the files of the admission policies begin with. A policy
// and its binding are named by nameRelease, after the same word.
const fileAdmission = "admission-"

// maxLabel is the longest label value. Flux writes a Kustomization's name into
// a label of all that it applies.
const maxLabel = 63

// FluxRoot is the name of the Flux Kustomization that applies the others, and
// of its source. No tenant's is called so.
const FluxRoot = "eso-tenant"

// FluxName is the name of a tenant's Flux Kustomization, or of the platform's
// for schema.PlatformTenant. A name that would be too long for a label ends in
// a digest instead, and only such a name is as long as a label can be: no
// tenant can be called so that it takes another's.
func FluxName(tenant string) string {
	name := prefix + tenant
	if len(name) < maxLabel {
		return name
	}
	sum := sha256.Sum256([]byte(tenant))
	return name[:maxLabel-11] + "-" + hex.EncodeToString(sum[:5])
}
