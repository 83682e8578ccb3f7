package main

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// cost is what one reconciliation takes where nothing else is in its way.
type cost struct {
	wall     time.Duration // that a worker has it
	cpu      time.Duration // of kustomize-controller's process
	limited  float64       // requests by the client that --kube-api-qps holds back
	requests float64       // all requests to the API server
}

// fleet is what there is to reconcile: a Kustomization of the platform, and one of each tenant, which depends on it.
type fleet struct {
	tenants   int
	interval  time.Duration
	publish   float64 // tenants' new revisions a second, where all have one
	unchanged cost    // of a reconciliation that finds all as it should be
	changed   cost    // of one that applies another revision
	waiting   cost    // of one that finds the platform not ready
}

// settings are what can be set of kustomize-controller.
type settings struct {
	concurrent        int           // --concurrent
	qps, burst        float64       // --kube-api-qps and --kube-api-burst; no limit with 0
	requeueDependency time.Duration // --requeue-dependency
	cores             int           // that its container may use
}

// platform is its Kustomization; tenants are 0 and up.
const platform = -1

// jitter is how far an interval is varied, as --interval-jitter-percentage is by default.
const jitter = 0.05

// simulation is one kustomize-controller, its queue, and the clock. It keeps to what its source does (1.9.6): the queue
// holds each Kustomization once; what is asked for while a worker has it, is worked on again; a new revision of a tenant
// puts the platform in the queue, too, before it; the platform is not ready while a worker has it; and a tenant that
// finds it so is put off. A worker has to wait for a processor, and for the limiter of requests.
type simulation struct {
	fleet    fleet
	settings settings
	random   *rand.Rand
	now      time.Duration
	agenda   agenda
	planned  int // entries of the agenda so far

	queue  []int
	state  map[int]*kustomization
	idle   int             // workers
	cores  []time.Duration // when each is free
	budget time.Duration   // when the limiter would be full again, less its burst
	tally  tally
}

// kustomization is what is known of one.
type kustomization struct {
	queued, working, again bool
	stale                  bool          // there is a revision that no worker has taken
	due                    time.Duration // when a timer rings; 0: none does
	ran                    time.Duration // when it was last begun
	applied                time.Duration // when a new revision last was
}

// tally is what is counted.
type tally struct {
	busy, cpu time.Duration
	requests  float64
	ran       int           // reconciliations
	putOff    int           // of them, those that found the platform not ready
	worst     time.Duration // between the begins of two of one Kustomization
}

func newSimulation(f fleet, s settings) *simulation {
	sim := &simulation{
		fleet: f, settings: s, random: rand.New(rand.NewPCG(1, 2)), state: map[int]*kustomization{}, //nolint:gosec // the same each time
		idle: s.concurrent, cores: make([]time.Duration, s.cores), budget: -1 << 60,
	}
	for id := platform; id < f.tenants; id++ {
		sim.state[id] = &kustomization{}
		sim.ring(id, 1+time.Duration(sim.random.Int64N(int64(f.interval))))
	}
	return sim
}

// run goes on until a time.
func (s *simulation) run(until time.Duration) {
	for len(s.agenda) > 0 && s.agenda[0].at <= until {
		next, _ := heap.Pop(&s.agenda).(entry)
		s.now = next.at
		next.do()
	}
	s.now = until
}

// at has something happen.
func (s *simulation) at(when time.Duration, do func()) {
	s.planned++
	heap.Push(&s.agenda, entry{when, s.planned, do})
}

// ring sets a Kustomization's timer, unless it rings earlier.
func (s *simulation) ring(id int, when time.Duration) {
	k := s.state[id]
	if k.due != 0 && k.due <= when {
		return
	}
	k.due = when
	s.at(when, func() {
		if k.due == when {
			k.due = 0
			s.enqueue(id)
		}
	})
}

// revise gives a Kustomization's source a new revision.
func (s *simulation) revise(id int) {
	s.state[id].stale = true
	if id != platform {
		s.enqueue(platform)
	}
	s.enqueue(id)
}

func (s *simulation) enqueue(id int) {
	k := s.state[id]
	switch {
	case k.working:
		k.again = true
	case !k.queued:
		k.queued = true
		s.queue = append(s.queue, id)
	}
	s.dispatch()
}

func (s *simulation) dispatch() {
	for s.idle > 0 && len(s.queue) > 0 {
		first := s.queue[0]
		s.queue = s.queue[1:]
		s.begin(first)
	}
}

// begin gives a Kustomization to a worker.
func (s *simulation) begin(id int) {
	k := s.state[id]
	k.queued, k.working = false, true
	s.idle--
	if k.ran > 0 {
		s.tally.worst = max(s.tally.worst, s.now-k.ran)
	}
	k.ran = s.now
	stale, takes := k.stale, s.fleet.unchanged
	putOff := id != platform && s.state[platform].working
	switch {
	case putOff:
		takes = s.fleet.waiting
		s.tally.putOff++
	case stale:
		takes, k.stale = s.fleet.changed, false
	}
	end := s.spend(takes)
	s.tally.ran++
	s.tally.requests += takes.requests
	s.tally.cpu += takes.cpu
	s.tally.busy += end - s.now
	s.at(end, func() { s.end(id, putOff, stale) })
}

// spend says when work ends that begins now.
func (s *simulation) spend(takes cost) time.Duration {
	core := 0
	for i := range s.cores {
		if s.cores[i] < s.cores[core] {
			core = i
		}
	}
	end := max(s.now, s.cores[core]) + takes.cpu
	s.cores[core] = end
	if s.settings.qps > 0 {
		// The limiter as a schedule: each request moves it by its share of a second, and it lags behind by a burst at most.
		burst := time.Duration(s.settings.burst / s.settings.qps * float64(time.Second))
		s.budget = max(s.budget, end-burst) + time.Duration(takes.limited/s.settings.qps*float64(time.Second))
		end = max(end, s.budget)
	}
	return end + max(takes.wall-takes.cpu, 0)
}

// end takes a Kustomization from its worker.
func (s *simulation) end(id int, putOff, stale bool) {
	k := s.state[id]
	k.working = false
	s.idle++
	if putOff {
		s.ring(id, s.now+s.settings.requeueDependency)
	} else {
		if stale {
			k.applied = s.now
		}
		varied := 1 + jitter*(2*s.random.Float64()-1)
		s.ring(id, s.now+time.Duration(float64(s.fleet.interval)*varied))
	}
	if k.again {
		k.again = false
		s.enqueue(id)
		return
	}
	s.dispatch()
}

// entry is what happens at a time; of what happens at one time, what was planned first.
type entry struct {
	at    time.Duration
	order int
	do    func()
}

// agenda is a heap of what is to happen.
type agenda []entry

// Len is heap.Interface's.
func (a *agenda) Len() int { return len(*a) }

// Less is heap.Interface's.
func (a *agenda) Less(i, j int) bool {
	x, y := (*a)[i], (*a)[j]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

// Swap is heap.Interface's.
func (a *agenda) Swap(i, j int) { (*a)[i], (*a)[j] = (*a)[j], (*a)[i] }

// Push is heap.Interface's.
func (a *agenda) Push(x any) {
	if e, ok := x.(entry); ok {
		*a = append(*a, e)
	}
}

// Pop is heap.Interface's.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	*a = (*a)[:last]
	return e
}
