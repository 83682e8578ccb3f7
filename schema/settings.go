package schema

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// settings is what namespaceDefaults and a namespace can both state.
type settings struct {
	podSecurity         PodSecurity
	labels, annotations map[string]string
	quota               map[string]string
	limits              []Limit
	defaultDeny         bool
	allowDNS            bool
}

func readSettings(n *node) settings {
	network := n.get("network")
	s := settings{
		podSecurity: readPodSecurity(n.get("podSecurity")),
		labels:      textMap(n.get("labels")),
		annotations: textMap(n.get("annotations")),
		quota:       textMap(n.get("quota")),
		defaultDeny: network.get("defaultDeny").isTrue(),
		allowDNS:    network.get("allowDNS").isTrue(),
	}
	for _, item := range n.get("limits").list() {
		s.limits = append(s.limits, Limit{
			Type:                 item.get("type").str(),
			Default:              textMap(item.get("default")),
			DefaultRequest:       textMap(item.get("defaultRequest")),
			Max:                  textMap(item.get("max")),
			Min:                  textMap(item.get("min")),
			MaxLimitRequestRatio: textMap(item.get("maxLimitRequestRatio")),
		})
	}
	return s
}

// readPodSecurity takes one level for all modes, or a map of levels.
func readPodSecurity(n *node) PodSecurity {
	if n != nil && n.kind == stringNode {
		return PodSecurity{Enforce: n.text, Warn: n.text, Audit: n.text}
	}
	return PodSecurity{Enforce: n.get("enforce").str(), Warn: n.get("warn").str(), Audit: n.get("audit").str()}
}

// textMap reads a map of scalars, numbers as they were written; nil of nil.
func textMap(n *node) map[string]string {
	if n == nil || n.kind != mapNode {
		return nil
	}
	m := make(map[string]string, len(n.entries))
	for _, e := range n.entries {
		m[e.key] = e.value.str()
	}
	return m
}

func number64(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return f
}

// over lays what a namespace states over the defaults.
func (s settings) over(defaults settings, stated *node) settings {
	merged := defaults
	// A mode that is not stated stays as it is, or a tenant could end enforcement by naming another mode.
	merged.podSecurity = PodSecurity{
		Enforce: cmp.Or(s.podSecurity.Enforce, defaults.podSecurity.Enforce),
		Warn:    cmp.Or(s.podSecurity.Warn, defaults.podSecurity.Warn),
		Audit:   cmp.Or(s.podSecurity.Audit, defaults.podSecurity.Audit),
	}
	merged.labels = mergeText(defaults.labels, s.labels)
	merged.annotations = mergeText(defaults.annotations, s.annotations)
	if s.quota != nil {
		merged.quota = s.quota
	}
	if stated.get("limits") != nil {
		merged.limits = s.limits
	}
	if stated.at("network.defaultDeny") != nil {
		merged.defaultDeny = s.defaultDeny
	}
	if stated.at("network.allowDNS") != nil {
		merged.allowDNS = s.allowDNS
	}
	return merged
}

func mergeText(under, over map[string]string) map[string]string {
	if len(over) == 0 {
		return under
	}
	merged := maps.Clone(over)
	for k, v := range under {
		if _, stated := over[k]; !stated {
			merged[k] = v
		}
	}
	return merged
}

// defaults reads namespaceDefaults, which the platform team may set as it
// likes, but for the keys that are generated.
func (r *platformReader) defaults(n *node) settings {
	for _, field := range []string{"labels", "annotations"} {
		for _, e := range n.get(field).keys() {
			if ownKey(e.key) {
				r.report(&node{line: e.line, col: e.col}, problem.LabelProtected, join("namespaceDefaults."+field, e.key), "key "+problem.Quote(e.key)+" is set by eso-tenant itself", "remove it; Pod Security levels go into podSecurity")
			}
		}
	}
	s := readSettings(n)
	if n.get("podSecurity") == nil {
		s.podSecurity = PodSecurity{Enforce: strictest, Warn: strictest, Audit: strictest}
	}
	return s
}

// strictest is the Pod Security level of namespaces that nobody said one for.
const strictest = "restricted"

// ownKey tells whether a namespace's label or annotation is one that the
// generator writes.
func ownKey(key string) bool {
	return strings.HasPrefix(key, group+"/") || strings.HasPrefix(key, "pod-security.kubernetes.io/") ||
		slices.Contains([]string{"app.kubernetes.io/managed-by", "kubernetes.io/metadata.name", "kustomize.toolkit.fluxcd.io/prune"}, key)
}
