package schema

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"
)

// within runs work that cannot be interrupted. Where it takes longer or more
// memory than bounds allow, within returns an error and leaves the work
// running: the problem that is then reported ends the command. A panic of the
// evaluator is an error, too.
func within(bounds cueBounds, work func()) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("the evaluator gave up: %v", r)
			}
			close(done)
		}()
		work()
	}()
	timeout := time.NewTimer(bounds.time)
	defer timeout.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-timeout.C:
			return fmt.Errorf("the evaluation takes longer than %s", bounds.time)
		case <-look.C:
			if memoryInUse() <= bounds.memory {
				continue
			}
			// What counts is what is held: garbage of before, which nothing has asked to
			// be collected yet, is not the evaluation's.
			runtime.GC()
			if memoryInUse() > bounds.memory {
				return fmt.Errorf("the evaluation takes more than %d MiB of memory", bounds.memory>>20)
			}
		}
	}
}

// lookEvery is how often memory is looked at.
const lookEvery = 20 * time.Millisecond

// memoryInUse is what the heap, garbage included, and the stacks hold, in bytes.
func memoryInUse() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	var sum uint64
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}
