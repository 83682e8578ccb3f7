package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/oci"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/scaffold"
)

// pushOptions are the flags of push.
type pushOptions struct {
	selection        fn.Selection
	tags             []string
	single, dryRun   bool
	source, revision string
	registry         oci.Options
}

func newPush(s streams) *cobra.Command {
	var o pushOptions
	var report *reporter
	cmd := &cobra.Command{
		Use:   "push oci://HOST/REPOSITORY[:TAG] [PATH…]",
		Short: "Push manifests as Flux OCI artifacts",
		Long: `Push renders as render -o does, and pushes an artifact for each part of it, to
REPOSITORY/<cluster>/tenants/<tenant>, /platform and /flux. Their names and
digests are printed. What a tag names already is not pushed again.`,
		Example: `  eso-tenant push oci://registry.example.com/fleet platforms tenants`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("say where to push to: oci://HOST/REPOSITORY")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []cobra.Completion{oci.Scheme}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStated(cmd, "cluster", "tenant", "tag", "source", "revision"); err != nil {
				return err
			}
			return s.push(cmd.Context(), args[0], args[1:], o, report)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.selection.Clusters, "cluster", nil, "push these clusters (Platforms) only")
	flags.StringSliceVar(&o.selection.Tenants, "tenant", nil, "push these tenants only, nothing of the Platform's")
	flags.StringSliceVar(&o.tags, "tag", nil, "`tag`s, beside the URL's (default latest)")
	flags.BoolVar(&o.single, "single", false, "push all as one artifact, to REPOSITORY itself")
	flags.StringVar(&o.source, "source", "", "the sources' `URL` (default git's origin)")
	flags.StringVar(&o.revision, "revision", "", "the sources' `revision` (default git's branch@sha1:…)")
	flags.BoolVar(&o.registry.Insecure, "insecure", false, "allow plain HTTP, also beyond this machine")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be pushed; talk to no registry")
	flags.DurationVar(&o.registry.Timeout, "timeout", 2*time.Minute, "how long one artifact may take")
	report = s.reporter(cmd, s.err)
	for _, flag := range []string{"tag", "source", "revision", "timeout"} {
		completeFlag(cmd, flag, cobra.NoFileCompletions)
	}
	return cmd
}

func (s streams) push(ctx context.Context, url string, paths []string, o pushOptions, report *reporter) error {
	target, err := oci.ParseTarget(url)
	if err == nil {
		o.tags, err = tagsOf(target, o.tags)
	}
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return &exit{code: exitUsage, cause: err}
	}
	progress := s.progress("reading specifications")
	rendering, sources, problems := build(paths, s)
	progress.stop()
	if err := report.report(problems, sources); err != nil {
		return err
	}
	selected, err := rendering.Select(o.selection)
	if err != nil {
		return &exit{code: exitUsage, cause: err}
	}
	from, err := provenance(ctx, paths, o.source, o.revision)
	if err != nil {
		return failed(err)
	}
	if report.forPeople() {
		for _, note := range notes(selected, target, o) {
			fmt.Fprintln(s.err, "note: "+note)
		}
	}
	return s.pushAll(ctx, selected, target, o, from, report)
}

// check refuses flags that do harm together, and those that may be secret.
func (o pushOptions) check() error {
	switch {
	case o.single && len(o.selection.Tenants) > 0:
		return errors.New("--single with --tenant would push an artifact without all others, and Flux would remove what they have; leave one of the two out")
	case o.registry.Timeout <= 0:
		return errors.New("--timeout is a time, such as 2m")
	case o.source != "" && scaffold.CheckURL(o.source) != nil:
		return errors.New("--source is no URL of a repository; write https://HOST/PATH or ssh://git@HOST/PATH, without a password, a query or a fragment")
	case strings.ContainsFunc(o.revision, func(r rune) bool { return r <= ' ' || r > '~' }) || len(o.revision) > 256:
		return errors.New("--revision is no revision; write it as branch@sha1:HASH")
	}
	return nil
}

// tagsOf are the URL's tag and those of flags, each once.
func tagsOf(target oci.Target, flags []string) ([]string, error) {
	var tags []string
	if target.Tag != "" {
		tags = append(tags, target.Tag)
	}
	for _, tag := range flags {
		if err := oci.CheckTag(tag); err != nil {
			return nil, err
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		tags = []string{"latest"}
	}
	return tags, nil
}

// notes say where Flux, as the Platforms set it up, will not find what is pushed.
func notes(r *fn.Rendering, target oci.Target, o pushOptions) []string {
	var notes []string
	for _, f := range r.Flux() {
		name := "Platform " + f.Cluster
		switch here := oci.Scheme + target.String(); {
		case f.OCI == nil && !o.single:
			notes = append(notes, name+" has one source for the whole folder; push it with --single, or state flux.oci")
		case f.OCI == nil:
		case o.single:
			notes = append(notes, name+" has flux.oci, which wants an artifact for each part; leave --single out, or state flux.sourceRef")
		case strings.TrimSuffix(f.OCI.URL, "/") != here:
			notes = append(notes, name+" has flux.oci.url "+f.OCI.URL+", and this is another")
		case !slices.Contains(o.tags, f.OCI.Tag):
			notes = append(notes, "Flux follows tag "+f.OCI.Tag+" of "+name+", which is not pushed")
		}
	}
	return notes
}

// artifact is one that is to be pushed, and what became of it.
type artifact struct {
	target oci.Target
	pushed oci.Pushed
}

// pusher pushes artifacts, some at a time.
type pusher struct {
	ctx      context.Context // of the one call of pushAll that this lives for
	stop     context.CancelCauseFunc
	options  pushOptions
	from     oci.Provenance
	registry *oci.Registry // nil to try it out
	slots    chan struct{}
	running  sync.WaitGroup
	all      []*artifact
}

// atOnce is how many artifacts are pushed at a time: each is some requests that
// wait for the registry.
const atOnce = 8

func (s streams) pushAll(ctx context.Context, r *fn.Rendering, target oci.Target, o pushOptions, from oci.Provenance, report *reporter) error {
	signalled, ignore := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer ignore()
	context.AfterFunc(signalled, ignore) // a second one ends the process
	ctx, stop := context.WithCancelCause(signalled)
	defer stop(nil)
	p := &pusher{ctx: ctx, stop: stop, options: o, from: from, slots: make(chan struct{}, atOnce)}
	progress := s.progress("pushing")
	err := p.connect(target)
	if err == nil {
		err = p.rendering(r, target)
	}
	progress.stop()
	if printErr := s.printPushed(p.all); printErr != nil {
		return printErr
	}
	switch {
	case err != nil && signalled.Err() != nil:
		return failed(errors.New("interrupted; what is printed was pushed, and the same command goes on from there"))
	case err != nil:
		return failed(err)
	case report.forPeople():
		fmt.Fprintln(s.err, p.summary())
	}
	return nil
}

func (p *pusher) connect(target oci.Target) error {
	if p.options.dryRun {
		return nil
	}
	o := p.options.registry
	o.UserAgent = "eso-tenant/" + buildVersion()
	var err error
	p.registry, err = oci.Connect(p.ctx, target, o)
	return err
}

// rendering pushes all that there is. Flux's own part comes last, when all that
// it names is there.
func (p *pusher) rendering(r *fn.Rendering, target oci.Target) error {
	var whole []oci.File
	for part, err := range r.Parts(p.ctx) {
		if err != nil {
			return p.end(err)
		}
		if p.options.single {
			whole = append(whole, filesOf(part, part.Name+"/")...)
			continue
		}
		to, err := target.Below(part.Name)
		if err != nil {
			return p.end(err)
		}
		if strings.HasSuffix(part.Name, "/flux") {
			p.running.Wait()
		}
		p.push(to, filesOf(part, ""))
	}
	if p.options.single {
		p.push(target, whole)
	}
	return p.end(nil)
}

// end waits for what is being pushed, and returns the first thing that went wrong.
func (p *pusher) end(err error) error {
	if err != nil {
		p.stop(err)
	}
	p.running.Wait()
	return context.Cause(p.ctx)
}

func filesOf(part fn.Part, below string) []oci.File {
	files := make([]oci.File, len(part.Files))
	for i, f := range part.Files {
		files[i] = oci.File{Name: below + f.Inside, Data: f.Data}
	}
	return files
}

// push starts to push an artifact, once there is a slot for it.
func (p *pusher) push(to oci.Target, files []oci.File) {
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return
	}
	a := &artifact{target: to}
	p.all = append(p.all, a)
	p.running.Go(func() {
		defer func() { <-p.slots }()
		if p.ctx.Err() != nil {
			return
		}
		if err := p.one(a, files); err != nil {
			p.stop(err)
		}
	})
}

func (p *pusher) one(a *artifact, files []oci.File) error {
	packed, err := oci.Pack(files, p.from)
	if err != nil {
		return err
	}
	if p.registry == nil {
		a.pushed.Digest, err = packed.Digest()
		return err
	}
	a.pushed, err = p.registry.Push(p.ctx, a.target, p.options.tags, packed)
	return err
}

// printPushed writes what cosign signs: a repository and a digest, one a line.
func (s streams) printPushed(all []*artifact) error {
	for _, a := range all {
		if a.pushed.Digest == "" {
			continue // it was not pushed
		}
		if _, err := fmt.Fprintf(s.out, "%s@%s\n", a.target, a.pushed.Digest); err != nil {
			return failed(fmt.Errorf("writing output: %w", err))
		}
	}
	return nil
}

func (p *pusher) summary() string {
	fresh := 0
	for _, a := range p.all {
		if a.pushed.New {
			fresh++
		}
	}
	of := " of " + problem.Plural(len(p.all), "artifact") + " as " + strings.Join(p.options.tags, ", ") + ", from " + problem.Clean(p.from.Revision)
	if p.registry == nil {
		return fmt.Sprintf("would push up to %d%s", len(p.all), of)
	}
	return fmt.Sprintf("pushed %d%s; %d were there", fresh, of, len(p.all)-fresh)
}
