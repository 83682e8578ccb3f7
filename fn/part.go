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
	var files []TreeFile
	w := newFolderWriter(ctx, c, func(name string, content []byte) error {
		files = append(files, TreeFile{Inside: filepath.ToSlash(name), Data: content})
		return nil
	})
	part := func(folder string, write func()) bool {
		files = nil
		if write(); w.err != nil {
			yield(Part{}, w.err)
			return false
		}
		for i := range files {
			files[i].Inside = strings.TrimPrefix(files[i].Inside, folder+"/")
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
