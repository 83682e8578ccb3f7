package fn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// fluxGolden are the objects of a golden flux folder, decoded strictly into
// Flux's own types.
func fluxGolden(t *testing.T, cluster string) (map[string]kustomizev1.Kustomization, map[string]sourcev1.OCIRepository) {
	t.Helper()
	kustomizations, repositories := map[string]kustomizev1.Kustomization{}, map[string]sourcev1.OCIRepository{}
	files, err := filepath.Glob(filepath.Join("..", "golden", "several-clusters", "folder", cluster, folderFlux, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Base(file) == kustomizationFile {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.SplitSeq(string(data), "\n"+separator) {
			var k kustomizev1.Kustomization
			var o sourcev1.OCIRepository
			if err := yaml.UnmarshalStrict([]byte(text), &o); err == nil && o.Kind == sourcev1.OCIRepositoryKind {
				repositories[o.Name] = o
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(text), &k); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			kustomizations[k.Name] = k
		}
	}
	return kustomizations, repositories
}

// What is written is what Flux's own types say, field by field: an unknown one
// would be dropped by the API server without a word.
func TestFluxObjectsAreFluxs(t *testing.T) {
	one, none := fluxGolden(t, "eu-1")
	if len(none) > 0 {
		t.Errorf("sources that nobody asked for: %v", none)
	}
	each, sources := fluxGolden(t, "us-1")
	if len(sources) != len(each) {
		t.Errorf("%d sources for %d Kustomizations", len(sources), len(each))
	}
	for cluster, all := range map[string]map[string]kustomizev1.Kustomization{"eu-1": one, "us-1": each} {
		for name, k := range all {
			ref := k.Spec.SourceRef
			if k.APIVersion != kustomizev1.GroupVersion.String() || k.Kind != kustomizev1.KustomizationKind || !k.Spec.Prune || k.Spec.Interval.Duration <= 0 || ref.Kind != sourcev1.OCIRepositoryKind || ref.Name == "" {
				t.Errorf("%s: %s: %+v", cluster, name, k)
			}
			if source, there := sources[ref.Name]; cluster == "us-1" && (!there || ref.Namespace != "" || source.Namespace != k.Namespace) {
				t.Errorf("%s: %s has source %s, which is not there", cluster, name, ref.Name)
			}
			for _, on := range k.Spec.DependsOn {
				if _, there := all[on.Name]; !there {
					t.Errorf("%s: %s depends on %s", cluster, name, on.Name)
				}
			}
		}
	}
}

// An OCIRepository gets what is pushed under its part's path, as the Platform
// says; the root applies the others and acts as nobody's applier.
func TestFluxArtifacts(t *testing.T) {
	kustomizations, sources := fluxGolden(t, "us-1")
	source := sources["eso-tenant-payments"]
	want := map[string]any{
		"url": "oci://registry.example.com/fleet/us-1/tenants/payments", "ref": map[string]any{"tag": "stable"},
		"interval": "2m0s", "provider": "aws", "insecure": true,
		"layerSelector": map[string]any{"mediaType": "application/vnd.cncf.flux.content.v1.tar+gzip", "operation": "copy"}, // checked against its digest
		"secretRef":     map[string]any{"name": "registry"}, "certSecretRef": map[string]any{"name": "registry-ca"},
		"verify": map[string]any{"provider": "cosign", "matchOIDCIdentity": []any{
			map[string]any{"issuer": `^https://token\.example\.com$`, "subject": `^https://git\.example\.com/fleet/.*$`},
		}},
	}
	text, err := yaml.Marshal(source.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	root, platform := kustomizations["eso-tenant"], kustomizations["eso-tenant-platform"]
	if sources["eso-tenant"].Spec.URL != "oci://registry.example.com/fleet/us-1/flux" || root.Spec.ServiceAccountName != "" || root.Spec.Wait || root.Spec.Path != "./" {
		t.Errorf("the root: %+v of %+v", root.Spec, sources["eso-tenant"].Spec)
	}
	if platform.Spec.ServiceAccountName != "eso-tenant-applier" || !platform.Spec.Wait {
		t.Errorf("the platform: %+v", platform.Spec)
	}
}
