package main

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// peers has one folder a tool. A file that ends in .tmpl is executed with the tenants' names; the rest is copied.
// "all:" because a Helm chart has a file that begins with an underscore.
//
//go:embed all:peers
var peers embed.FS

const (
	templateSuffix = ".tmpl"
	tenantTemplate = "tenant.yaml" + templateSuffix // one file a tenant, as our users keep them
	resourceList   = "resourcelist.yaml"            // stdin of the exec function
	maxTenants     = 99999                          // names have up to five digits, see countObjects
)

func tenantNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%04d", i+1)
	}
	return names
}

// writeWorkload writes tool's form of the workload into dir.
func writeWorkload(tool, dir string, tenants []string) error {
	source, err := fs.Sub(peers, "peers/"+tool)
	if err != nil {
		return fmt.Errorf("opening the workload of %s: %w", tool, err)
	}
	return fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading the workload of %s: %w", tool, err)
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o750)
		case name == resourceList: // a Kubernetes object that is no spec: not for a folder that is rendered
			return nil
		case name == tenantTemplate:
			return writePerTenant(source, name, filepath.Join(dir, "tenants"), tenants)
		case strings.HasSuffix(name, templateSuffix):
			return executeFile(source, name, strings.TrimSuffix(target, templateSuffix), tenants)
		}
		return copyFile(source, name, target)
	})
}

func copyFile(source fs.FS, name, target string) error {
	data, err := fs.ReadFile(source, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return os.WriteFile(target, data, 0o600)
}

func writePerTenant(source fs.FS, name, dir string, tenants []string) error {
	text, err := template.ParseFS(source, name)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the tenants' folder: %w", err)
	}
	for _, tenant := range tenants {
		if err := execute(text, filepath.Join(dir, tenant+".yaml"), tenant); err != nil {
			return err
		}
	}
	return nil
}

func executeFile(source fs.FS, name, target string, tenants []string) error {
	text, err := template.ParseFS(source, name)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", name, err)
	}
	return execute(text, target, tenants)
}

func execute(text *template.Template, target string, data any) (err error) {
	file, err := os.Create(target)
	if err != nil {
		return fmt.Errorf("creating a file of the workload: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	out := bufio.NewWriter(file)
	if err := text.Execute(out, data); err != nil {
		return fmt.Errorf("executing %s: %w", text.Name(), err)
	}
	return out.Flush()
}
