package main

import "time"

// load is what kustomize-controller does while nothing changes.
type load struct {
	workers  float64       // share of the time that they are busy, 0 to 1
	cores    float64       // processors in use
	requests float64       // to the API server, a second
	longest  time.Duration // between two reconciliations of one Kustomization
}

// rounds are how many intervals are run before, and how many are looked at: an overloaded queue takes some to look at all.
const rounds = 8

// steady is the load once the queue has settled.
func steady(f fleet, s settings) load {
	sim := newSimulation(f, s)
	sim.run(rounds * f.interval)
	sim.tally = tally{}
	sim.run(2 * rounds * f.interval)
	seconds := rounds * f.interval.Seconds()
	return load{
		workers: min(sim.tally.busy.Seconds()/seconds/float64(s.concurrent), 1), cores: sim.tally.cpu.Seconds() / seconds,
		requests: sim.tally.requests / seconds, longest: sim.tally.worst,
	}
}

// patience is how long a change is waited for.
const patience = 24 * time.Hour

// change is how long a new revision takes to be applied everywhere.
type change struct {
	took   time.Duration // patience if not all came through
	putOff int           // reconciliations that found the platform not ready
}

// platformChange gives the platform and all tenants a new revision, as a change of what all stores share does.
func platformChange(f fleet, s settings) change {
	sim := newSimulation(f, s)
	begin := f.interval
	sim.at(begin, func() { sim.revise(platform) })
	for id := range f.tenants {
		sim.at(begin+time.Duration(float64(id)/f.publish*float64(time.Second)), func() { sim.revise(id) })
	}
	all := []int{platform}
	for id := range f.tenants {
		all = append(all, id)
	}
	sim.run(begin - 1)
	sim.tally = tally{}
	return sim.until(begin, all)
}

// until runs until some Kustomizations have applied what came at a time or later.
func (s *simulation) until(begin time.Duration, ids []int) change {
	for ; s.now < begin+patience; s.run(s.now + time.Second) {
		last, missing := time.Duration(0), false
		for _, id := range ids {
			if s.state[id].applied < begin {
				missing = true
				break
			}
			last = max(last, s.state[id].applied)
		}
		if !missing {
			return change{last - begin, s.tally.putOff}
		}
	}
	return change{patience, s.tally.putOff}
}

// trials is how many single changes are tried, one after another.
const trials = 30

// tenantChange is the longest that one tenant's new revision takes.
func tenantChange(f fleet, s settings) change {
	sim := newSimulation(f, s)
	sim.run(f.interval)
	sim.tally = tally{}
	longest := time.Duration(0)
	for n := range trials {
		begin, id := sim.now+37*time.Second, n*f.tenants/trials
		sim.at(begin, func() { sim.revise(id) })
		sim.run(begin - 1)
		longest = max(longest, sim.until(begin, []int{id}).took)
	}
	return change{longest, sim.tally.putOff}
}
