// Package supervise runs the programs of the test bed, and sees to it that none outlives the bed: each has a process
// group of its own, is stopped in reverse order, and is killed by the kernel if we are (on Linux).
package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is what is started.
type Program struct {
	// Name is for logs and messages; the log is <name>.log.
	Name string
	// Path is the binary's.
	Path      string
	Arguments []string
	// Environment is all there is of it: nothing is inherited.
	Environment []string
	// MayEnd says that its end by itself, once it was ready, is no failure.
	MayEnd bool
	// Ready says with nil that the program does its work. It is asked until then.
	Ready func(context.Context) error
}

// A program has this long to become ready, and to stop when asked.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 5 * time.Second
)

// Supervisor owns programs. Make one with New.
type Supervisor struct {
	folder  string
	context context.Context
	fail    context.CancelCauseFunc

	mutex   sync.Mutex
	running []*Process
	stopped bool
}

// New returns a supervisor that writes logs to a folder.
func New(logs string) *Supervisor {
	ctx, fail := context.WithCancelCause(context.Background())
	return &Supervisor{folder: logs, context: ctx, fail: fail}
}

// Context ends as soon as a program ends by itself; its cause names the program and has the last lines of its log.
func (s *Supervisor) Context() context.Context { return s.context }

// Process is a program that was started.
type Process struct {
	// ID is the process's, and its group's.
	ID int
	// Log is the file with all that it wrote.
	Log string

	name       string
	supervisor *Supervisor
	ended      chan struct{} // closed when it has ended
	err        error         // how; read after ended
	stopping   sync.Once
	asked      chan struct{} // closed when we asked it to end
}

// Start starts a program and waits until it is ready.
func (s *Supervisor) Start(ctx context.Context, program Program) (*Process, error) {
	process, err := s.launch(program)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", program.Name, err)
	}
	if err := process.wait(ctx, program.Ready); err != nil {
		process.Stop()
		return nil, fmt.Errorf("starting %s: %w\n%s", program.Name, err, process.tail())
	}
	if !program.MayEnd {
		go process.watch()
	}
	return process, nil
}

// StartOnPorts is Start for a program that listens on so many ports of 127.0.0.1. They are chosen when they are free;
// if somebody else was quicker, others are.
func (s *Supervisor) StartOnPorts(ctx context.Context, ports int, program func(ports []int) Program) (*Process, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		free, err := FreePorts(ports)
		if err != nil {
			return nil, err
		}
		process, err := s.Start(ctx, program(free))
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "address already in use") {
			return process, err
		}
	}
}

// FreePorts returns ports of 127.0.0.1 that nobody listens on at this moment.
func FreePorts(count int) ([]int, error) {
	var config net.ListenConfig
	ports := make([]int, count)
	listeners := make([]net.Listener, 0, count)
	defer func() { // after the last was chosen, so that all differ
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	for i := range ports {
		listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		listeners = append(listeners, listener)
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("looking for a free port: %s is no TCP address", listener.Addr())
		}
		ports[i] = address.Port
	}
	return ports, nil
}

func (s *Supervisor) launch(program Program) (*Process, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopped {
		return nil, errors.New("the test bed is being stopped")
	}
	if _, err := os.Stat(program.Path); err != nil {
		return nil, fmt.Errorf("its binary is missing: %w", err)
	}
	path := filepath.Join(s.folder, program.Name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(program.Path, program.Arguments...) //nolint:noctx // Stop ends it, gently first
	command.Env = append([]string{}, program.Environment...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = attributes()
	if err := startLocked(command); err != nil {
		return nil, err
	}
	process := &Process{
		ID: command.Process.Pid, Log: path, name: program.Name, supervisor: s,
		ended: make(chan struct{}), asked: make(chan struct{}),
	}
	go func() {
		process.err = command.Wait()
		close(process.ended)
	}()
	s.running = append(s.running, process)
	return process, nil
}

// wait returns when a process is ready, or has ended, or takes too long.
func (p *Process) wait(ctx context.Context, ready func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := ready(limited)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %w", p.outcome())
		case <-p.supervisor.context.Done():
			return context.Cause(p.supervisor.context)
		case <-limited.Done():
			return fmt.Errorf("it is not ready: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// watch fails the supervisor if the process ends by itself.
func (p *Process) watch() {
	<-p.ended
	select {
	case <-p.asked:
	default:
		p.supervisor.fail(fmt.Errorf("%s ended by itself: %w\nthe end of %s:\n%s", p.name, p.outcome(), p.Log, p.tail()))
	}
}

func (p *Process) outcome() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// Stop ends a process and all of its group, and returns when it has ended.
func (p *Process) Stop() {
	p.stopping.Do(func() {
		close(p.asked)
		_ = syscall.Kill(-p.ID, syscall.SIGTERM) // it may have ended, which is as good
		select {
		case <-p.ended:
		case <-time.After(stopWithin):
		}
		_ = syscall.Kill(-p.ID, syscall.SIGKILL) // what is left of its group
	})
	<-p.ended
}

// Kill ends a process and all of its group at once, as a machine's failure does, and returns when it has ended.
func (p *Process) Kill() {
	p.stopping.Do(func() {
		close(p.asked)
		_ = syscall.Kill(-p.ID, syscall.SIGKILL) // it may have ended, which is as good
	})
	<-p.ended
}

// Stop ends all programs, the last first. None can be started any more.
func (s *Supervisor) Stop() {
	s.mutex.Lock()
	s.stopped = true
	running := slices.Clone(s.running)
	s.mutex.Unlock()
	for _, process := range slices.Backward(running) {
		process.Stop()
	}
}

// tail returns the last lines that a process wrote.
func (p *Process) tail() string {
	const size, lines = 16 << 10, 25
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	content = content[max(0, len(content)-size):]
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
