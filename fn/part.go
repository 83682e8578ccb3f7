package fn

import (
	"context"
	"iter"
	"path"
	"path/filepath"
	"strings"

	"github.com/eso-tenant/eso-tenant/schema"
)

// Part is one folder of the layout that WriteFolder writes, which is what one
// Flux Kustomization applies: the platform's, a tenant's, or the one of the
// Flux Kustomizations themselves.
type Part struct {
	Name  string     // with slashes, such as "eu-1/tenants/web"
	Files []TreeFile // the same bytes as WriteFolder's; Inside is below Name
}

// Parts yields the parts of a rendering, a cluster after another and in each
// the tenants', the platform's, and at last Flux's, which name the others. One
// part at a time is in memory. An error ends it.
func (r *Rendering) Parts(ctx context.Context) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		for _, c := range r.clusters {
			if !r.partsOf(ctx, c, yield) {
				return
			}
		}
	}
}

// partsOf yields one cluster's parts, and tells whether more are wanted.
func (r *Rendering) partsOf(ctx context.Context, c *schema.Cluster, yield func(Part, error) bool) bool {
	w := newPartWriter(ctx, c)
	part := func(folder string, write func()) bool {
		files, err := w.part(folder, write)
		if err != nil {
			yield(Part{}, err)
			return false
		}
		return len(files) == 0 || yield(Part{Name: path.Join(c.Platform.Name, folder), Files: files}, nil)
	}
	for t := range r.tenantsOf(c) {
		if !part(path.Join(folderTenants, t.Name), func() { w.tenant(t) }) {
			return false
		}
	}
	return len(r.tenants) > 0 || part(folderPlatform, w.platform) && part(folderFlux, w.flux)
}

// partWriter writes a cluster's files into memory, a part of its folder at a time.
type partWriter struct {
	*folderWriter
	files []TreeFile
}

func newPartWriter(ctx context.Context, c *schema.Cluster) *partWriter {
	w := &partWriter{}
	w.folderWriter = newFolderWriter(ctx, c, func(name string, content []byte) error {
		w.files = append(w.files, TreeFile{Inside: filepath.ToSlash(name), Data: content})
		return nil
	})
	return w
}

// part returns what write writes, by its names below the folder that it is for.
func (w *partWriter) part(folder string, write func()) ([]TreeFile, error) {
	w.files = nil
	if write(); w.err != nil {
		return nil, w.err
	}
	for i := range w.files {
		w.files[i].Inside = strings.TrimPrefix(w.files[i].Inside, folder+"/")
	}
	return w.files, nil
}
