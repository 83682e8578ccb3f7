package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Follower reads a log while it is written, and says each finding when it is
// first made. Log rotation is followed: when the name means another file, what
// is left of the old one is read first; a file that was emptied is read from its
// start.
type Follower struct {
	File string
	// Say is called with findings that were not there before.
	Say func(problem.List) error
	// Wait waits until it is time to look again. False ends the following.
	Wait func() bool
}

// WaitFor looks again after a time, until the context ends.
func WaitFor(ctx context.Context, pause time.Duration) func() bool {
	return func() bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
			return true
		}
	}
}

// following is the state between two looks.
type following struct {
	*Follower
	file     *os.File
	read     int64 // bytes of this file
	scanner  scanner
	splitter splitter
	tally    *tally
	said     map[findingKey]bool
	buffer   []byte
}

// Run follows until Wait says to end, and reports all that was read.
func (f *Follower) Run(in *Input) (*Report, error) {
	s := &following{Follower: f, tally: newTally(in), said: map[findingKey]bool{}, buffer: make([]byte, chunk)}
	s.tally.file = f.File
	s.scanner.window = in.Window
	s.scanner.emit = s.tally.add
	s.splitter = splitter{line: s.scanner.line, tooLong: s.scanner.tooLong}
	if err := s.open(); err != nil {
		return nil, err
	}
	defer func() { s.file.Close() }()
	for {
		if err := s.look(); err != nil {
			return nil, err
		}
		if err := s.say(); err != nil {
			return nil, err
		}
		if !f.Wait() {
			break
		}
	}
	if err := s.drain(); err != nil {
		return nil, err
	}
	s.splitter.finish()
	if err := s.say(); err != nil {
		return nil, err
	}
	done := &log{name: f.File, scanner: s.scanner}
	done.scanner.coverage.Files = 1
	report := &Report{Coverage: done.scanner.coverage, Problems: done.problems()}
	s.tally.conclude(report)
	return report, nil
}

func (s *following) open() error {
	file, err := os.Open(s.File)
	if err != nil {
		return fmt.Errorf("following %s: %s", problem.Quote(s.File), cause(err))
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("this is no regular file; --log - reads standard input")
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("following %s: %s", problem.Quote(s.File), cause(err))
	}
	s.file, s.read = file, 0
	return nil
}

// look reads what was written since the last look.
func (s *following) look() error {
	if err := s.drain(); err != nil {
		return err
	}
	old, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("following %s: %s", problem.Quote(s.File), cause(err))
	}
	if old.Size() < s.read {
		return s.emptied()
	}
	current, err := os.Stat(s.File)
	if err != nil || os.SameFile(old, current) {
		return nil //nolint:nilerr // between two files there may be none for a while
	}
	return s.rotated()
}

func (s *following) emptied() error {
	s.scanner.coverage.Cuts++
	s.splitter.restart()
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("following %s: %s", problem.Quote(s.File), cause(err))
	}
	s.read = 0
	return s.drain()
}

func (s *following) rotated() error {
	if err := s.drain(); err != nil { // written between the last read and the renaming
		return err
	}
	s.splitter.restart()
	old := s.file
	if err := s.open(); err != nil {
		s.file = old
		return nil //nolint:nilerr // it may be there at the next look
	}
	old.Close()
	s.scanner.coverage.Rotations++
	return s.drain()
}

// drain reads to the file's present end.
func (s *following) drain() error {
	for {
		n, err := s.file.Read(s.buffer)
		s.read += int64(n)
		s.splitter.feed(s.buffer[:n])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("following %s: %s", problem.Quote(s.File), cause(err))
		}
	}
}

// say says the findings that are new.
func (s *following) say() error {
	var fresh problem.List
	for key, found := range s.tally.found {
		if !s.said[key] {
			s.said[key] = true
			fresh = append(fresh, found.problem(key))
		}
	}
	if len(fresh) == 0 || s.Say == nil {
		return nil
	}
	return s.Say(fresh.Sorted())
}
