package format

import (
	"cmp"
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// noTime stands where a report has to say how long something took: the same
// problems give the same bytes.
const noTime = "0"

// writeJUnit writes a suite for each file and a test for each problem. A
// warning is a skipped test: GitLab and Jenkins show these with their message,
// and neither takes them for a failure, as the exit code does not. Without a
// problem there is one test, which passes, since both take an empty report for
// a mistake.
func writeJUnit(w io.Writer, l problem.List) error {
	report := &junit.Testsuites{Name: tool, Time: noTime}
	if len(l) == 0 {
		suite := junit.Testsuite{Name: tool, Time: noTime}
		suite.AddTestcase(junit.Testcase{Name: "no problems", Classname: tool, Time: noTime})
		report.AddSuite(suite)
	}
	for len(l) > 0 {
		name := place(l[0])
		n := 1
		for n < len(l) && place(l[n]) == name {
			n++
		}
		suite := suite(name, l[:n])
		suite.ID = len(report.Suites)
		report.AddSuite(suite)
		l = l[n:]
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	return report.WriteXML(w)
}

// place is the file of a problem, or else its subject.
func place(p problem.Problem) string {
	return problem.Clean(cmp.Or(p.Position.File, p.Position.Subject, tool))
}

func suite(name string, l problem.List) junit.Testsuite {
	suite := junit.Testsuite{Name: name, Time: noTime}
	names := map[string]int{}
	for _, p := range l {
		test := testcase(p)
		test.Classname = name
		// GitLab takes tests of one name for one test.
		if names[test.Name]++; names[test.Name] > 1 {
			test.Name += " (" + strconv.Itoa(names[test.Name]) + ")"
		}
		suite.AddTestcase(test)
	}
	return suite
}

func testcase(p problem.Problem) junit.Testcase {
	test := junit.Testcase{Name: string(p.Rule), Time: noTime}
	if p.Position.Line > 0 {
		test.Name += " at " + strconv.Itoa(p.Position.Line) + ":" + strconv.Itoa(p.Position.Column)
	}
	if p.Path != "" {
		test.Name += " " + problem.Clean(p.Path)
	}
	// All of it again: GitLab shows the content, Jenkins the message first.
	result := &junit.Result{
		Type: string(p.Rule), Message: problem.Clean(p.Message),
		Data: strings.Join(append([]string{p.Line()}, p.Details()...), "\n  "),
	}
	if p.IsError() {
		test.Failure = result
	} else {
		test.Skipped = result
	}
	return test
}
