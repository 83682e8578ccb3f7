package audit

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkRead reads 16 MiB of a log with 2 % of token requests.
func BenchmarkRead(b *testing.B) {
	var log bytes.Buffer
	if err := newGenerator(1, 20).write(&log, 16<<20); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(log.Len()))
	b.ReportAllocs()
	for b.Loop() {
		source := Source{Name: "audit.log", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(log.Bytes())), nil }}
		if _, err := Read(b.Context(), []Source{source}, &Input{}); err != nil {
			b.Fatal(err)
		}
	}
}
