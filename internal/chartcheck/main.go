// Command chartcheck derives a file of generators/eso/releases from the folder of a chart, and its tests hold those
// files, and the chart values that go with them, to real charts as Helm renders them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "chartcheck:", err)
		}
		os.Exit(2)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("chartcheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	folder := flags.String("chart", "", "`folder` of the chart, which has Chart.yaml")
	tag := flags.String("tag", "", "git `tag` that the folder is of, such as helm-chart-2.10.0")
	commit := flags.String("commit", "", "`commit` that the tag stands for, in full")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *folder == "" || *tag == "" || len(*commit) != 40 || flags.NArg() > 0 {
		flags.Usage()
		return flag.ErrHelp
	}
	file, err := deriveRelease(*folder, *tag, *commit)
	if err != nil {
		return fmt.Errorf("deriving the release of %s: %w", *folder, err)
	}
	_, err = stdout.Write(file)
	return err
}
