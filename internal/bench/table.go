package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

const mebibyte = 1 << 20

// least is the minimum over the runs, what ratios compare; middle the median, what a user sees; most the maximum, what
// a bound is held against.
func least[T cmp.Ordered](samples []sample, field func(sample) T) T {
	return slices.Min(values(samples, field))
}

func most[T cmp.Ordered](samples []sample, field func(sample) T) T {
	return slices.Max(values(samples, field))
}

func middle[T cmp.Ordered](samples []sample, field func(sample) T) T {
	sorted := values(samples, field)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func values[T any](samples []sample, field func(sample) T) []T {
	all := make([]T, len(samples))
	for i, s := range samples {
		all[i] = field(s)
	}
	return all
}

func cpuOf(s sample) time.Duration  { return s.cpu }
func wallOf(s sample) time.Duration { return s.wall }
func rssOf(s sample) int64          { return s.rss }

func (r report) print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "tool\tversion\ttenants\truns\tCPU min\tmedian\twall min\tmedian\tpeak RSS min\tmax\tobjects\t")
	for _, s := range r.all() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n",
			s.label, s.version, s.tenantCount(), len(s.samples),
			seconds(least(s.samples, cpuOf)), seconds(middle(s.samples, cpuOf)),
			seconds(least(s.samples, wallOf)), seconds(middle(s.samples, wallOf)),
			mebibytes(least(s.samples, rssOf)), mebibytes(most(s.samples, rssOf)),
			s.objectCount())
	}
	table.Flush()
}

func seconds(d time.Duration) string {
	if d < 100*time.Millisecond {
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
}

func mebibytes(n int64) string {
	return strconv.FormatInt(n/mebibyte, 10) + " MiB"
}

func printPromises(out io.Writer, promises []promise) {
	if len(promises) == 0 {
		return
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\npromise\tis\tmay be\t")
	for _, p := range promises {
		fmt.Fprintf(table, "%s\t%.2f\t%s %g\t%s\n", p.what, p.is, p.relation(), p.limit, p.verdict())
	}
	table.Flush()
}

// tenantCount is "-" where no tenants are read.
func (s *subject) tenantCount() string {
	if s.tenants == 0 {
		return "-"
	}
	return strconv.Itoa(s.tenants)
}

func (s *subject) objectCount() string {
	if s.objects == nil {
		return "-"
	}
	return strconv.Itoa(s.objects.total())
}
