package supervise

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shell is a program that is a line of shell.
func shell(line string) Program {
	return Program{
		Name: "shell", Path: "/bin/sh", Arguments: []string{"-c", line},
		Ready: func(context.Context) error { return nil },
	}
}

func TestMissingBinaryIsNamed(t *testing.T) {
	s := New(t.TempDir())
	_, err := s.Start(t.Context(), Program{Name: "etcd", Path: filepath.Join(t.TempDir(), "etcd")})
	if err == nil || !strings.Contains(err.Error(), "starting etcd: its binary is missing") {
		t.Errorf("got %v", err)
	}
}

// A program that dies when it was ready ends the bed's context, with the last that it wrote.
func TestDeathInMidTest(t *testing.T) {
	s := New(t.TempDir())
	if _, err := s.Start(t.Context(), shell("sleep 0.3; echo no space left on device >&2; exit 3")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Context().Done():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	for _, want := range []string{"shell ended by itself", "exit status 3", "no space left on device", "shell.log"} {
		if got := context.Cause(s.Context()).Error(); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}

// One that may end is watched by whoever started it.
func TestMayEnd(t *testing.T) {
	s := New(t.TempDir())
	program := shell("exit 1")
	program.MayEnd = true
	process, err := s.Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	<-process.Ended()
	if s.Context().Err() != nil {
		t.Error("its end is taken for a failure:", context.Cause(s.Context()))
	}
}

func TestDeathBeforeReady(t *testing.T) {
	s := New(t.TempDir())
	program := shell("echo wrong flag >&2; exit 2")
	program.Ready = func(context.Context) error { return errors.New("nobody answers") }
	_, err := s.Start(t.Context(), program)
	if err == nil || !strings.Contains(err.Error(), "it ended: exit status 2\nwrong flag") {
		t.Errorf("got %v", err)
	}
}

// A stopped program is no accident, one that ignores the request is killed, and what it has started goes with it.
func TestStop(t *testing.T) {
	s := New(t.TempDir())
	file := filepath.Join(t.TempDir(), "child")
	program := shell("trap '' TERM; sleep 600 & echo $! >" + file + ".new; mv " + file + ".new " + file + "; wait; sleep 600")
	program.Environment = []string{"PATH=" + os.Getenv("PATH")}
	program.Ready = func(context.Context) error {
		_, err := os.Stat(file)
		return err
	}
	process, err := s.Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	gone(t, process.ID)
	gone(t, child)
	if err := context.Cause(s.Context()); err != nil {
		t.Errorf("stopping counts as an accident: %v", err)
	}
	if _, err := s.Start(t.Context(), sleeper("late")); err == nil {
		t.Error("a program was started after the end")
	}
}

// A port that somebody takes between choosing and listening costs another attempt, not the run.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := New(t.TempDir())
	defer s.Stop()
	attempts := 0
	_, err = s.StartOnPorts(t.Context(), 2, func(ports []int) Program {
		attempts++
		if ports[0] == ports[1] {
			t.Errorf("ports %v are one", ports)
		}
		if attempts > 1 {
			return sleeper("second")
		}
		first := shell("echo listen tcp " + taken.Addr().String() + ": bind: address already in use >&2; exit 1")
		first.Ready = func(context.Context) error { return errors.New("nobody answers") }
		return first
	})
	if err != nil || attempts != 2 {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
}
