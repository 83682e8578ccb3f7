package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// chunk is how much is read at once, in bytes.
const chunk = 128 << 10

// batch is how many events go together from a file's reader to the tally, and
// ahead how many batches of a file may wait for the files before it.
const (
	batch = 128
	ahead = 32
)

// Read reads logs, several at a time, and says what they hold. The error is that
// the context ended.
func Read(ctx context.Context, sources []Source, in *Input) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTally(in)
	report := &Report{}
	for _, log := range start(ctx, sources, in.Window) {
		t.file = log.name
		for events := range log.events {
			for _, e := range events {
				t.add(e)
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading logs: %w", err)
		}
		report.Coverage.add(&log.scanner.coverage)
		report.Problems = append(report.Problems, log.problems()...)
	}
	t.conclude(report)
	return report, nil
}

// Newest is the time of the newest event in the logs, zero if none has one.
func Newest(ctx context.Context, sources []Source) (Coverage, error) {
	var all Coverage
	for _, log := range start(ctx, sources, Window{}) {
		for range log.events {
			continue // the reader took their times
		}
		all.add(&log.scanner.coverage)
	}
	return all, ctx.Err()
}

// log is one file while it is read.
type log struct {
	name    string
	scanner scanner
	events  chan []*event // closed when the rest is set
	err     error
}

// start reads as many logs at once as there are processors. They begin in their
// order, so that whichever is waited for is being read.
func start(ctx context.Context, sources []Source, window Window) []*log {
	logs := make([]*log, len(sources))
	for i := range sources {
		logs[i] = &log{name: sources[i].Name, events: make(chan []*event, ahead)}
	}
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range sources {
			next <- i
		}
	}()
	for range min(len(sources), runtime.GOMAXPROCS(0)) {
		go func() {
			for i := range next {
				logs[i].err = logs[i].read(ctx, sources[i], window)
				close(logs[i].events)
			}
		}()
	}
	return logs
}

// read reads one log to its end.
func (l *log) read(ctx context.Context, source Source, window Window) error {
	file, err := source.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	text, done, err := unpacked(file)
	if err != nil {
		return err
	}
	defer done()
	l.scanner.coverage.Files = 1
	var waiting []*event
	flush := func() {
		if len(waiting) == 0 {
			return
		}
		select {
		case l.events <- waiting:
		case <-ctx.Done():
		}
		waiting = nil
	}
	l.scanner.window = window
	l.scanner.emit = func(e *event) {
		if waiting == nil {
			waiting = make([]*event, 0, batch)
		}
		if waiting = append(waiting, e); len(waiting) == batch {
			flush()
		}
	}
	err = l.lines(ctx, text)
	flush()
	return err
}

// lines reads the text to its end. What was read before an error counts.
func (l *log) lines(ctx context.Context, text io.Reader) error {
	s := splitter{line: l.scanner.line, tooLong: l.scanner.tooLong}
	defer s.finish()
	buffer := make([]byte, chunk)
	for {
		n, err := text.Read(buffer)
		s.feed(buffer[:n])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return nil // the caller knows
		}
	}
}

// problems are those of the file.
func (l *log) problems() problem.List {
	var all problem.List
	if l.err != nil {
		p := unreadable(l.name, "this cannot be read to its end: "+cause(l.err))
		if errors.Is(l.err, errUTF16) {
			p.Message = l.err.Error()
		}
		if errors.Is(l.err, zstd.ErrWindowSizeExceeded) {
			p.Hint = fmt.Sprintf("it was packed with a window of more than %d MiB; unpack it first: zstd -dc --long=31 FILE | eso-tenant audit --log -", maxWindow>>20)
		}
		all = append(all, p)
	}
	c := &l.scanner.coverage
	for kind, what := range map[int]struct {
		count int
		says  string
		hint  string
	}{
		notJSON:   {c.NotJSON, "no JSON", "where lines of several writers got into each other, events are lost; for JSON over several lines, use jq -c ."},
		truncated: {c.Truncated, "cut short", "the last line of a log that is being written is; elsewhere, events are lost"},
		tooLong:   {c.TooLong, fmt.Sprintf("longer than %d MiB", maxLine>>20), "no event of a token is as long"},
	} {
		if what.count == 0 {
			continue
		}
		all = append(all, problem.Problem{
			Rule: problem.AuditLogIncomplete, Position: problem.Position{File: l.name, Line: l.scanner.broken[kind], Column: 1},
			Message: are(what.count, "line") + " " + what.says + ", this the first of them: what they say was not counted", Hint: what.hint,
		})
	}
	if c.Files > 0 && c.Events == 0 && l.err == nil {
		all = append(all, problem.Problem{
			Rule: problem.AuditLogIncomplete, Position: problem.Position{File: l.name}, Message: "this has no event of audit.k8s.io in it",
			Hint: "an audit log is JSON, one event on a line, as --audit-log-format=json writes it",
		})
	}
	return all
}

// are is "1 line is" or "2 lines are".
func are(n int, noun string) string {
	if n == 1 {
		return problem.Plural(n, noun) + " is"
	}
	return problem.Plural(n, noun) + " are"
}
