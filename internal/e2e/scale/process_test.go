package scale

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clockTick is USER_HZ of proc(5): 100 on every architecture that Go has.
const clockTick = 10 * time.Millisecond

// cpu is what a process has used so far, user and system. Source: proc_pid_stat(5), fields 14 and 15.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the program's name may hold spaces
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// idle waits until a process has nothing to do for a second, and returns what it has used by then: what it is told of its
// own writes comes after them.
func idle(b *testing.B, pid int) time.Duration {
	b.Helper()
	for before := cpu(b, pid); ; {
		time.Sleep(time.Second)
		now := cpu(b, pid)
		if now-before <= 30*time.Millisecond {
			return now
		}
		before = now
	}
}

// peak is the most memory that a process has held, in MiB. Source: proc_pid_status(5), VmHWM.
func peak(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("the kernel does not say how much memory was held")
	return 0
}

// metric is the sum of a metric's series.
func metric(b *testing.B, url, name string) float64 {
	b.Helper()
	response, err := http.Get(url) // of a program beside us
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	sum := 0.0
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series, value, found := strings.Cut(lines.Text(), " ")
		if !found || series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return sum
}
