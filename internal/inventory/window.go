package inventory

import (
	"bytes"
	"errors"
	"io"
)

const windowBytes = 256 << 10

var (
	errHeld   = errors.New("more would have to be held than may be")
	errSource = errors.New("the source is too large")
)

// window is the part of a source that is held in memory.
type window struct {
	from   io.Reader
	buf    []byte
	start  int   // of what has to be held
	pos    int   // what is looked at, not before start
	before int64 // bytes of the source before buf
	max    int   // of what may be held
	err    error // what ended the source: io.EOF, or why it is not read further
}

// reset begins with another source, in the same memory.
func (w *window) reset(from io.Reader) {
	*w = window{from: from, buf: w.buf[:0], max: maxDocumentBytes}
	if cap(w.buf) == 0 {
		w.buf = make([]byte, 0, windowBytes)
	}
}

// more reads on and keeps everything from start. It is false at the end of the
// source, and where err says that it is not read further.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	if len(w.buf)-w.start > w.max {
		w.err = errHeld
		return false
	}
	w.makeRoom()
	for range 100 { // a Reader that gives nothing, again and again, has no end
		n, err := w.from.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf = w.buf[:len(w.buf)+n]
		w.err = err
		if w.before+int64(len(w.buf)) > maxSourceBytes {
			w.err = errSource
			return false
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
	w.err = io.ErrNoProgress
	return false
}

// makeRoom moves what is held to the front, or into a larger buffer.
func (w *window) makeRoom() {
	held := w.buf[w.start:]
	if len(held) > cap(w.buf)/2 {
		w.buf = make([]byte, 0, 2*cap(w.buf))
	}
	w.buf = append(w.buf[:0], held...)
	w.before += int64(w.start)
	w.pos -= w.start
	w.start = 0
}

// begins returns the first two characters that are no space, 0 where there are
// none, and drops a byte order mark. Nothing is read.
func (w *window) begins() (first, second byte) {
	for len(w.buf) < 3 && w.more() { //nolint:revive // more does it
	}
	if bytes.HasPrefix(w.buf, []byte("\ufeff")) {
		w.start, w.pos = 3, 3
	}
	for i := w.pos; ; {
		if i == len(w.buf) {
			from := i - w.start
			if !w.more() {
				return first, 0
			}
			i = w.start + from
		}
		c := w.buf[i]
		i++
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case first == 0:
			first = c
		default:
			return first, c
		}
	}
}
