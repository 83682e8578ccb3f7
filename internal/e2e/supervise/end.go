package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// OnEnd calls a function once when this process is asked to end: by a signal, or because the process that started it is
// gone (`go test` killed, say). It returns a function that ends the watch.
func OnEnd(do func(reason error)) (cancel func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	parent, done := os.Getppid(), make(chan struct{})
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				do(fmt.Errorf("received the signal %q", s))
				return
			case <-tick.C:
			}
			if os.Getppid() != parent {
				do(errors.New("the process that started this one is gone"))
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
