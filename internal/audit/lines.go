package audit

import "bytes"

// maxLine bounds a line, in bytes. The API server takes requests of up to 3 MiB,
// and JSON may write a byte of these as six.
const maxLine = 32 << 20

// grownLine is how far the buffer for a line grows by itself. For a longer one
// it is made as long as a line may be, once: growing further would leave more
// memory behind than that.
const grownLine = 4 << 20

// splitter cuts a stream into lines, whatever pieces it comes in. What it hands
// out is valid until the call returns.
type splitter struct {
	line    func(number int, data []byte)
	tooLong func(number int, size int64)
	number  int
	pending []byte
	size    int64 // of the line that is pending
	drops   bool  // it is too long to be kept
}

// feed takes the stream's next piece.
func (s *splitter) feed(chunk []byte) {
	for len(chunk) > 0 {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			s.keep(chunk)
			return
		}
		if part := chunk[:i]; s.size == 0 {
			s.number++
			s.line(s.number, part)
		} else {
			s.keep(part)
			s.end()
		}
		chunk = chunk[i+1:]
	}
}

// keep adds to the line that is pending.
func (s *splitter) keep(part []byte) {
	s.size += int64(len(part))
	if s.drops = s.drops || len(s.pending)+len(part) > maxLine; !s.drops {
		if need := len(s.pending) + len(part); need > grownLine && cap(s.pending) < maxLine {
			s.pending = append(make([]byte, 0, maxLine), s.pending...)
		}
		s.pending = append(s.pending, part...)
	}
}

// end hands out the line that is pending.
func (s *splitter) end() {
	s.number++
	if s.drops {
		s.tooLong(s.number, s.size)
	} else {
		s.line(s.number, s.pending)
	}
	s.drops, s.size, s.pending = false, 0, s.pending[:0]
}

// finish ends the stream: its last line may have no end.
func (s *splitter) finish() {
	if s.size > 0 {
		s.end()
	}
}

// restart begins with another stream's first line.
func (s *splitter) restart() {
	s.finish()
	s.number = 0
}
