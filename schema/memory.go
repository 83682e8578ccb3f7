package schema

import (
	"crypto/sha256"
	"encoding/binary"
)

// Memory holds what CUE accepted in the last run, for a process that decodes
// the same sources again and again: of ten thousand tenants one has changed. It
// holds digests only, of just that run. What was refused is not kept, since
// finding the words for it needs CUE anyway. The zero value is ready for use,
// by one call of Decode at a time.
type Memory struct {
	// MaxCUEBytes bounds what the process may hold while a platform team's CUE is
	// evaluated; 0 leaves it at the default, which is for a process of its own.
	MaxCUEBytes uint64

	last, now map[memoryKey]struct{}
}

// memoryKey is a digest of a definition's path and of all that CUE is told of a value.
type memoryKey [sha256.Size]byte

func (m *Memory) knows(key memoryKey) bool {
	if m == nil {
		return false
	}
	_, ok := m.last[key]
	if ok {
		m.keep(key)
	}
	return ok
}

func (m *Memory) keep(key memoryKey) {
	if m == nil {
		return
	}
	if m.now == nil {
		m.now = map[memoryKey]struct{}{}
	}
	m.now[key] = struct{}{}
}

// turn ends a run: what was not asked for in it is forgotten.
func (m *Memory) turn() { m.last, m.now = m.now, nil }

// keyOf digests what expr makes of n, and nothing else: positions and problems
// are no part of what CUE sees.
func keyOf(path string, n *node) memoryKey {
	text := append(binary.AppendUvarint(nil, uint64(len(path))), path...)
	return sha256.Sum256(appendKey(text, n))
}

func appendKey(dst []byte, n *node) []byte {
	dst = append(dst, byte(n.kind))
	switch n.kind {
	case mapNode:
		dst = binary.AppendUvarint(dst, uint64(len(n.entries)))
		for i := range n.entries {
			dst = appendText(dst, n.entries[i].key)
			dst = appendKey(dst, n.entries[i].value)
		}
		return dst
	case listNode:
		dst = binary.AppendUvarint(dst, uint64(len(n.items)))
		for _, item := range n.items {
			dst = appendKey(dst, item)
		}
		return dst
	default:
		return appendText(dst, n.text)
	}
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
