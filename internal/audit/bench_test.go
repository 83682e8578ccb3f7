//go:build unix

package audit

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
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

// BenchmarkJQ compares the CPU of reading a log with that of jq, in the same run,
// where there is one. AUDIT_LOG_MB is the log's size; docs/audit.md has the
// figure for 500.
func BenchmarkJQ(b *testing.B) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		b.Skip("there is no jq")
	}
	size := int64(16)
	if stated := os.Getenv("AUDIT_LOG_MB"); stated != "" {
		if size, err = strconv.ParseInt(stated, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	file := filepath.Join(b.TempDir(), "audit.log")
	out, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	if err := newGenerator(1, 20).write(out, size<<20); err != nil {
		b.Fatal(err)
	}
	if err := out.Close(); err != nil {
		b.Fatal(err)
	}
	const filter = `select(.stage=="ResponseComplete" and .objectRef.subresource=="token") | [.user.username, .objectRef.namespace, .objectRef.name, .requestObject.spec.audiences, .responseStatus.code]`
	for b.Loop() {
		before := used(b)
		sources, _ := Find([]string{file}, nil)
		if _, err := Read(b.Context(), sources, &Input{}); err != nil {
			b.Fatal(err)
		}
		ours := used(b) - before
		cmd := exec.CommandContext(b.Context(), jq, "-c", filter, file)
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		theirs := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		b.ReportMetric(float64(theirs)/float64(ours), "×jq")
		b.ReportMetric(ours.Seconds(), "cpu-s")
		b.ReportMetric(theirs.Seconds(), "jq-cpu-s")
	}
}

// used is the CPU of this process so far.
func used(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
