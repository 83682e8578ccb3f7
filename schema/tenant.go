package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// resolve puts tenants onto Platforms and checks what each claims there.
func (dec *decoder) resolve() *Spec {
	slices.SortFunc(dec.platforms, func(a, b *Platform) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(dec.tenants, func(a, b *claim) int { return cmp.Compare(a.name, b.name) })
	spec := &Spec{}
	byName := map[string]*Cluster{}
	for _, p := range dec.platforms {
		cluster := &Cluster{Platform: p}
		spec.Clusters = append(spec.Clusters, cluster)
		byName[p.Name] = cluster
	}
	dec.checkPlatforms()
	cross := newCross(dec)
	for _, c := range dec.tenants {
		dec.checkTenantName(c)
		r := &tenantReader{dec: dec, claim: c}
		c.on = r.clusterNames(byName)
		for _, name := range c.on {
			cluster := byName[name]
			if tenant := r.on(cluster.Platform); tenant != nil {
				cluster.Tenants = append(cluster.Tenants, tenant)
			}
		}
	}
	for _, c := range dec.tenants {
		cross.namespaces(c)
	}
	for _, cluster := range spec.Clusters {
		dec.own(cluster, cross)
		cross.cluster(cluster)
	}
	return spec
}

func (dec *decoder) checkPlatforms() {
	// Where a source was not read in full, the reason is reported already.
	if len(dec.platforms) == 0 && len(dec.tenants) > 0 && !dec.unread {
		dec.report(problem.Problem{
			Rule: problem.PlatformMissing, Position: dec.tenants[0].position,
			Message: "there is no Platform for tenant " + problem.Quote(dec.tenants[0].name) + " to live on",
			Hint:    "name the Platform's file, or its folder, as well",
		})
	}
}

func (dec *decoder) checkTenantName(c *claim) {
	if c.name == PlatformTenant {
		dec.report(problem.Problem{
			Rule: problem.TenantReserved, Position: c.position, Path: "metadata.name",
			Message: "no tenant can be called " + problem.Quote(c.name) + "; the platform's own objects are labelled so",
			Hint:    "give it another name",
		})
	}
	for _, p := range dec.platforms {
		if slices.Contains(p.retired, c.name) {
			dec.report(problem.Problem{
				Rule: problem.TenantRetired, Position: c.position, Path: "metadata.name",
				Message: "Platform " + p.Name + " (" + p.Position.String() + ") has retired the name " + problem.Quote(c.name),
				Hint:    "give it another name: what trusted the old tenant outside the cluster may still trust this name",
			})
		}
	}
}

// tenantReader resolves one tenant, on one Platform after the other. What is
// wrong whatever the Platform comes up for each; Sorted keeps one of them.
type tenantReader struct {
	dec      *decoder
	claim    *claim
	platform *Platform
}

func (r *tenantReader) report(n *node, rule problem.Rule, path, message, hint string) {
	r.dec.report(problem.Problem{
		Rule: rule, Position: r.claim.doc.position(n), Path: join2(r.claim.path, path), Message: message, Hint: hint,
	})
}

// join2 joins two paths that are both already written out.
func join2(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "." + b
}

func keyNode(e *entry) *node {
	return &node{line: e.line, col: e.col, file: e.file, kind: stringNode, text: e.key}
}

// clusterNames lists the Platforms that the tenant, or any of its namespaces,
// lives on.
func (r *tenantReader) clusterNames(known map[string]*Cluster) []string {
	names := r.clusters(r.claim.spec.get("clusters"), "clusters", known)
	for _, e := range r.claim.spec.get("namespaces").keys() {
		names = append(names, r.clusters(e.value.get("clusters"), join("namespaces", e.key)+".clusters", known)...)
	}
	if len(names) == 0 && r.claim.spec.get("clusters") == nil {
		names = r.defaultClusters(known)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *tenantReader) clusters(n *node, path string, known map[string]*Cluster) []string {
	if n != nil && !n.bad && n.kind == listNode && len(n.items) == 0 {
		r.report(n, problem.ClusterMissing, path, "with no cluster named, nothing would be made of this", "name a Platform, or remove the list")
	}
	var names []string
	for _, item := range n.list() {
		if _, ok := known[item.text]; ok {
			names = append(names, item.text)
			continue
		}
		if item.bad || len(known) == 0 {
			continue
		}
		r.report(item, problem.ClusterUnknown, path, problem.Quote(item.text)+" is none of the Platforms "+problem.QuoteAll(clusterNames(known)), "")
	}
	return names
}

func clusterNames(known map[string]*Cluster) []string {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// defaultClusters is where a tenant lives that does not say so.
func (r *tenantReader) defaultClusters(known map[string]*Cluster) []string {
	switch {
	case len(r.claim.clusters) > 0:
		return slices.DeleteFunc(slices.Clone(r.claim.clusters), func(name string) bool { return known[name] == nil })
	case len(known) == 1:
		return clusterNames(known)
	case len(known) > 1:
		r.report(r.claim.spec, problem.ClusterMissing, "", "there are several Platforms, and the tenant does not say which it lives on", "add clusters: with some of "+problem.QuoteAll(clusterNames(known)))
	}
	return nil
}

// livesOn tells whether a namespace is on the reader's Platform.
func (r *tenantReader) livesOn(ns *node) bool {
	stated := ns.get("clusters")
	if stated == nil {
		stated = r.claim.spec.get("clusters")
	}
	if stated == nil {
		return true
	}
	return slices.Contains(stated.strs(), r.platform.Name)
}

// on resolves the tenant on a Platform; nil if no namespace lives there.
func (r *tenantReader) on(p *Platform) *Tenant {
	r.platform = p
	t := &Tenant{Name: r.claim.name, Position: r.claim.position}
	claimed := r.claim.spec.get("namespaces").keys()
	for i := range claimed {
		if r.livesOn(claimed[i].value) {
			t.Namespaces = append(t.Namespaces, r.namespace(&claimed[i]))
		}
	}
	if len(t.Namespaces) == 0 && (len(claimed) > 0 || r.claim.trusted) {
		return nil
	}
	slices.SortFunc(t.Namespaces, func(a, b *Namespace) int { return cmp.Compare(a.Name, b.Name) })
	t.Members = r.members()
	return t
}

func (r *tenantReader) members() []Member {
	var members []Member
	for i, n := range r.claim.spec.get("members").list() {
		m := Member{
			Kind: n.get("kind").str(), Name: n.get("name").str(), Namespace: n.get("namespace").str(), Role: n.get("role").str(),
			position: r.claim.doc.position(n), path: fmt.Sprintf("%s.members[%d]", r.claim.path, i),
		}
		if !slices.ContainsFunc(members, m.same) {
			members = append(members, m)
		}
		if !anyBad(n) {
			r.checkMember(n, m, fmt.Sprintf("members[%d]", i))
		}
	}
	return members
}

// same tells whether two members are one, stated twice.
func (m Member) same(other Member) bool {
	return m.Kind == other.Kind && m.Name == other.Name && m.Namespace == other.Namespace && m.Role == other.Role
}

func (r *tenantReader) checkMember(n *node, m Member, path string) {
	name := n.get("name")
	switch {
	case m.Kind == "" || m.Name == "":
	case m.Kind != "ServiceAccount" && strings.HasPrefix(m.Name, "system:"):
		r.report(name, problem.MemberSystem, path+".name", problem.Quote(m.Name)+" is one of Kubernetes' own users and groups", "name the people's own group")
	case !slices.Contains(r.platform.policy.memberKinds, m.Kind):
		r.report(n.get("kind"), problem.MemberKind, path+".kind", "members may be "+problem.QuoteAll(r.platform.policy.memberKinds)+" here, not "+problem.Quote(m.Kind), "tenantPolicy.memberKinds of Platform "+r.platform.Name+" decides")
	case m.Kind == "ServiceAccount" && m.Namespace == "":
		r.report(n, problem.FieldMissing, path, "field \"namespace\" is required for a ServiceAccount and not there", "")
	case m.Kind == "ServiceAccount" && m.Namespace == r.platform.ESO.Namespace:
		r.report(n, problem.MemberSystem, path+".namespace", "service accounts of namespace "+problem.Quote(m.Namespace)+" are External Secrets Operator's own; with a tenant's role it could mint past its fence", "name the people's own group")
	case m.Kind == "ServiceAccount" && !r.dec.validator.check("#Subdomain", name):
		r.report(name, problem.FieldValue, path+".name", problem.Quote(m.Name)+" is no service account's name", "write a DNS subdomain: DNS labels joined by '.'")
	case m.Kind != "ServiceAccount" && m.Namespace != "":
		r.report(n.get("namespace"), problem.FieldValue, path+".namespace", "only a ServiceAccount has a namespace", "remove it")
	}
}

func (r *tenantReader) namespace(e *entry) *Namespace {
	at := join("namespaces", e.key)
	r.checkNamespaceName(e, at)
	own := readSettings(e.value)
	r.checkSettings(e.value, own, at)
	defaults := r.platform.defaults
	if r.claim.trusted {
		defaults = settings{} // these are for tenants
	}
	s := own.over(defaults, e.value)
	ns := &Namespace{
		Name:        e.key,
		Position:    r.claim.doc.position(keyNode(e)),
		Managed:     r.managed(e),
		Prune:       e.value.get("prune").isTrue(),
		Labels:      s.labels,
		Annotations: s.annotations,
		PodSecurity: s.podSecurity,
		Quota:       s.quota,
		Limits:      s.limits,
		DefaultDeny: s.defaultDeny,
		AllowDNS:    s.allowDNS,
	}
	for _, store := range e.value.get("stores").keys() {
		if s := r.store(ns, store, join(at, "stores")); s != nil {
			ns.Stores = append(ns.Stores, s)
		}
	}
	slices.SortFunc(ns.Stores, func(a, b *Store) int { return cmp.Compare(a.Name, b.Name) })
	r.checkServiceAccounts(ns)
	return ns
}

// managed tells whether the Namespace object is ours to make; never that of a
// namespace of the cluster's, Flux's or ESO's.
func (r *tenantReader) managed(e *entry) bool {
	stated := e.value.get("manage")
	return (stated == nil || stated.isTrue()) && r.platform.reserved(e.key) == ""
}

func (r *tenantReader) checkNamespaceName(e *entry, at string) {
	if r.claim.trusted && e.key == r.platform.ESO.Namespace {
		r.report(keyNode(e), problem.NamespaceReserved, at, "namespace "+problem.Quote(e.key)+" is External Secrets Operator's own", "what is for several namespaces goes into sharedStores, whose service accounts are there")
	}
	if e.bad || r.claim.trusted {
		return
	}
	if why := r.platform.reserved(e.key); why != "" {
		e.bad = true
		r.report(keyNode(e), problem.NamespaceReserved, at, "namespace "+problem.Quote(e.key)+" is "+why, "a tenant has namespaces of its own")
		return
	}
	if !matches(r.platform.policy.namespaces, e.key, r.claim.name, e.key) {
		e.bad = true
		r.report(keyNode(e), problem.NamespaceOutside, at, "namespace "+problem.Quote(e.key)+" is outside what tenant "+problem.Quote(r.claim.name)+" may claim: "+problem.QuoteAll(r.platform.policy.namespaces), "tenantPolicy.namespaces of Platform "+r.platform.Name+" decides")
	}
}

// checkSettings holds a namespace to what the Platform lets a tenant state.
func (r *tenantReader) checkSettings(n *node, s settings, at string) {
	if r.claim.trusted {
		return
	}
	policy := r.platform.policy
	r.checkKeys(n.get("labels"), policy.labels, at, "labels")
	r.checkKeys(n.get("annotations"), policy.annotations, at, "annotations")
	for _, field := range []string{"quota", "limits", "manage", "prune"} {
		stated := n.get(field)
		isDefault := stated != nil && stated.kind == boolNode && stated.isTrue() == (field == "manage")
		if stated != nil && !stated.bad && !isDefault && !slices.Contains(policy.overrides, field) {
			r.settingOutside(stated, field, join2(at, field))
		}
	}
	// Denying more than the Platform does is always a tenant's right.
	network := n.get("network")
	weakens := (network.get("defaultDeny") != nil && !s.defaultDeny) || s.allowDNS
	if weakens && !slices.Contains(policy.overrides, "network") {
		r.settingOutside(network, "network", at+".network")
	}
	r.checkPodSecurity(n.get("podSecurity"), at+".podSecurity")
}

func (r *tenantReader) settingOutside(n *node, field, path string) {
	r.report(n, problem.SettingOutside, path, "a tenant may not state "+problem.Quote(field)+" here", "remove it; or the platform team lists "+field+" in tenantPolicy.overrides of Platform "+r.platform.Name)
}

func (r *tenantReader) checkKeys(n *node, allowed []string, at, field string) {
	for _, e := range n.keys() {
		path := join(join2(at, field), e.key)
		why := protectedKey(e.key)
		switch {
		case e.bad || e.value.bad:
		case why != "" || ownKey(e.key):
			r.report(keyNode(&e), problem.LabelProtected, path, "key "+problem.Quote(e.key)+" is read by policy engines and controllers; no tenant may set it", "remove it")
		case !slices.Contains(allowed, e.key):
			hint := "the platform team lists keys in tenantPolicy." + field + " of Platform " + r.platform.Name
			if len(allowed) > 0 {
				hint = "allowed are " + problem.QuoteAll(allowed) + "; " + hint
			}
			r.report(keyNode(&e), problem.LabelOutside, path, "a tenant may not set "+problem.Quote(e.key), hint)
		}
	}
}

func (r *tenantReader) checkPodSecurity(n *node, at string) {
	if n == nil {
		return
	}
	stated := []*node{n}
	if n.kind == mapNode {
		stated = []*node{n.get("enforce"), n.get("warn"), n.get("audit")}
	}
	for _, level := range stated {
		if level != nil && !level.bad && weaker(level.text, r.platform.policy.podSecurity) {
			r.report(level, problem.PodSecurityWeaker, at, problem.Quote(level.text)+" is weaker than "+problem.Quote(r.platform.policy.podSecurity)+", the weakest level that a tenant may ask for", "tenantPolicy.podSecurity of Platform "+r.platform.Name+" decides")
		}
	}
}
