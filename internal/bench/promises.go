package main

import "time"

const objectsPerTenant = 10

// wholeLogMB is the log that the promise about jq is made for.
const wholeLogMB = 500

// promise is a number that the product stands for.
type promise struct {
	what   string
	is     float64
	limit  float64
	below  bool // is must be less than the limit, not just at most
	above  bool // is must be the limit at least
	timing bool // an absolute time: shown, never checked, as it depends on the machine
}

func (p promise) holds() bool {
	switch {
	case p.above:
		return p.is >= p.limit
	case p.below:
		return p.is < p.limit
	}
	return p.is <= p.limit
}

func (p promise) broken() bool { return !p.timing && !p.holds() }

func (p promise) relation() string {
	switch {
	case p.above:
		return "≥"
	case p.below:
		return "<"
	}
	return "≤"
}

func (p promise) verdict() string {
	switch {
	case p.holds():
		return "holds"
	case p.timing:
		return "missed on this machine (an absolute time: not checked)"
	}
	return "BROKEN"
}

// promises are those that the measured parts allow to judge.
func (r report) promises() []promise {
	mine := r.tool(ours)
	if mine == nil {
		return nil
	}
	var all []promise
	if peer := r.tool(helm); peer != nil {
		all = append(all,
			promise{what: "CPU: eso-tenant / helm template", is: cpuRatio(mine, peer), limit: 1, below: true},
			promise{what: "peak RSS: eso-tenant / helm template", is: rssRatio(mine, peer), limit: 1, below: true})
	}
	if peer := r.tool(cue); peer != nil {
		all = append(all,
			promise{what: "CPU: eso-tenant / cue export", is: cpuRatio(mine, peer), limit: 0.5},
			promise{what: "peak RSS: eso-tenant / cue export", is: rssRatio(mine, peer), limit: 0.5})
	}
	return append(all, r.growth(mine)...)
}

// growth judges ours alone: linear in tenants, bounded in memory, quick to start.
func (r report) growth(mine *subject) []promise {
	var all []promise
	if r.large != nil {
		const slack = 1.1
		factor := float64(r.large.tenants) / float64(mine.tenants)
		all = append(all,
			promise{what: "CPU: large / small workload", is: cpuRatio(r.large, mine), limit: slack * factor},
			promise{what: "peak RSS of the large workload, MiB", is: float64(most(r.large.samples, rssOf)) / mebibyte, limit: 512})
	}
	if r.proof != nil && r.large != nil {
		all = append(all, promise{what: "CPU: verify / render of the large workload", is: cpuRatio(r.proof, r.large), limit: 3, below: true})
	}
	if r.audit != nil {
		all = append(all,
			promise{what: "CPU: jq / eso-tenant audit", is: cpuRatio(r.jq, r.audit), limit: r.auditFactor(), above: true},
			promise{what: "peak RSS of eso-tenant audit, MiB", is: float64(most(r.audit.samples, rssOf)) / mebibyte, limit: 96})
	}
	if r.exec != nil {
		median := float64(middle(r.exec.samples, cpuOf)) / float64(time.Millisecond)
		all = append(all, promise{what: "CPU of one tenant as an exec function, median ms", is: median, limit: 25, timing: true})
	}
	return all
}

// auditFactor is how many times the CPU of audit jq takes at least. Of a short log, starting is as much as reading.
func (r report) auditFactor() float64 {
	if r.logMB < wholeLogMB {
		return 12
	}
	return 30
}

func (r report) tool(name string) *subject {
	for _, s := range r.tools {
		if s.name == name {
			return s
		}
	}
	return nil
}

func cpuRatio(a, b *subject) float64 {
	return float64(least(a.samples, cpuOf)) / float64(least(b.samples, cpuOf))
}

func rssRatio(a, b *subject) float64 {
	return float64(least(a.samples, rssOf)) / max(float64(least(b.samples, rssOf)), 1)
}
