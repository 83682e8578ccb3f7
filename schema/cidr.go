package schema

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// metadataAddresses are where clouds tell whoever asks what the node is, and
// give out its identity, or the pod's own. Sources: the vendors' documents. In
// order: AWS, Google, Azure, Oracle and OpenStack; AWS by IPv6; AWS's roles for
// tasks, and for pods by both families; Google by IPv6; Azure's agent; Alibaba.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("169.254.170.2"),
	netip.MustParseAddr("169.254.170.23"),
	netip.MustParseAddr("fd00:ec2::23"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("100.100.100.200"),
}

// metadataNames are names of the same.
var metadataNames = []string{"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"}

// MetadataCIDRs are the metadata services of all clouds, as CIDRs of one address.
func MetadataCIDRs() []string {
	cidrs := make([]string, len(metadataAddresses))
	for i, address := range metadataAddresses {
		cidrs[i] = oneAddress(address)
	}
	return cidrs
}

func oneAddress(address netip.Addr) string {
	return netip.PrefixFrom(address, address.BitLen()).String()
}

// The shortest prefixes that name somebody's addresses rather than a large part
// of the internet: no registry gives out more at once.
const (
	shortestIPv4 = 8
	shortestIPv6 = 16
)

// cidrs reads a list of CIDRs, sorted and each one once.
func (r *platformReader) cidrs(n *node, at string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, item := range n.list() {
		if item.bad {
			continue
		}
		prefix, err := netip.ParsePrefix(item.text)
		switch {
		case err != nil || prefix.Addr().Is4In6():
			r.invalid(item, at, problem.Quote(item.text)+" is no CIDR", "write an address, a slash and the length of its prefix, such as 192.0.2.7/32")
		case prefix != prefix.Masked():
			r.invalid(item, at, problem.Quote(item.text)+" has bits set beyond its prefix", "write "+prefix.Masked().String()+" for all of it, or "+oneAddress(prefix.Addr())+" for the one address")
		default:
			prefixes = append(prefixes, prefix)
		}
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// invalid reports a value that the schema's pattern cannot see to be wrong.
func (r *platformReader) invalid(n *node, at, message, hint string) {
	r.report(n, problem.FieldValue, at, message, hint)
	n.bad = true
}

// reached reads CIDRs that ESO's pods may reach, which are to be somebody's.
func (r *platformReader) reached(n *node, at string) []netip.Prefix {
	for _, item := range n.list() {
		prefix, err := netip.ParsePrefix(item.text)
		if err != nil || item.bad {
			continue
		}
		if why := tooWide(prefix); why != "" {
			r.report(item, problem.NetworkWide, at, problem.Quote(item.text)+" "+why, "state the server's own addresses; internet: true opens port 443 of all but what is the cluster's or the cloud's")
		}
	}
	return r.cidrs(n, at)
}

func tooWide(prefix netip.Prefix) string {
	i := slices.IndexFunc(metadataAddresses, prefix.Contains)
	switch {
	case i >= 0:
		return "holds " + metadataAddresses[i].String() + ", a cloud's metadata service, which gives out the node's identity"
	case prefix.Addr().Is4() && prefix.Bits() < shortestIPv4, prefix.Addr().Is6() && prefix.Bits() < shortestIPv6:
		return "is a large part of the internet"
	default:
		return ""
	}
}

// outside reports CIDRs that overlap others, which mean something else. What is
// too wide was reported.
func (r *platformReader) outside(n *node, at string, others []netip.Prefix, message, hint string) {
	for _, item := range n.list() {
		prefix, err := netip.ParsePrefix(item.text)
		if err == nil && !item.bad && tooWide(prefix) == "" && slices.ContainsFunc(others, prefix.Overlaps) {
			r.report(item, problem.NetworkUnsupported, at, problem.Quote(item.text)+" "+message, hint)
		}
	}
}

func prefixTexts(prefixes []netip.Prefix) []string {
	all := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		all[i] = prefix.String()
	}
	return all
}

// family keeps the prefixes of IPv4, or those of IPv6.
func family(prefixes []netip.Prefix, v4 bool) []string {
	return prefixTexts(slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return p.Addr().Is4() != v4 }))
}

// clusterHost tells whether a host is a name inside the cluster, and of which
// namespace: NAME.NAMESPACE.svc with or without the cluster's domain, or a bare
// NAME, which is one of ESO's own namespace.
func clusterHost(host, own string) (namespace string, ok bool) {
	labels := strings.Split(host, ".")
	switch {
	case len(labels) == 1:
		return own, true
	case len(labels) >= 3 && labels[2] == "svc":
		return labels[1], true
	default:
		return "", false
	}
}
