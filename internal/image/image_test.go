package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	name     = "localhost/eso-tenant:dev" // as examples/container-function has it
	version  = "v0.0.0-image-test"
	revision = "0123456789abcdef0123456789abcdef01234567"
	epoch    = 1_000_000_000
	root     = "../.."
	largest  = 40_000_000 // bytes
)

// box is a container engine with a store of its own, in a folder of the test's. Nothing of the machine's is read or
// changed.
type box struct {
	dir string
	env []string
}

// TestImage runs what `make image` builds. Its parts share one build.
func TestImage(t *testing.T) {
	if os.Getenv("ESO_TENANT_IMAGE_TEST") == "" {
		t.Skip("make image-test runs it")
	}
	b := newBox(t)
	b.make(t, "")
	t.Run("is what we say", b.testConfig)
	t.Run("holds three files", b.testFiles)
	t.Run("is the same again", b.testReproducible)
	t.Run("has the binary of its architecture", b.testArchitectures)
	t.Run("runs a command", b.testCommand)
	t.Run("refuses what is no ResourceList", b.testEmpty)
	t.Run("runs as nobody", b.testUser)
	t.Run("runs as anybody with nothing", b.testBare)
	t.Run("is a function of kustomize's", b.testKustomize)
	t.Run("fails kustomize's build", b.testRefusal)
}

// newBox makes an engine that works in a container, too: no overlay file system, no systemd, no limits above those
// that the test itself runs with. There is no registry to take an image from.
func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{dir: t.TempDir()}
	for file, text := range map[string]string{
		"storage.conf": `[storage]
driver = "vfs"
graphroot = "BOX/store"
runroot = "BOX/run"
`,
		"registries.conf": "unqualified-search-registries = []\n",
		"containers.conf": `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "BOX/tmp"
`,
		// What kustomize calls, and a note of how.
		"bin/docker": "#!/bin/sh\necho \"$*\" >> 'BOX/calls'\nexec podman \"$@\"\n",
	} {
		write(t, filepath.Join(b.dir, file), strings.ReplaceAll(text, "BOX", b.dir))
	}
	b.env = append(os.Environ(),
		"CONTAINERS_CONF="+b.dir+"/containers.conf",
		"CONTAINERS_STORAGE_CONF="+b.dir+"/storage.conf",
		"CONTAINERS_REGISTRIES_CONF="+b.dir+"/registries.conf",
		"BUILDAH_LAYERS=false", // each build from its files, not from the one before
		"PATH="+b.dir+"/bin"+string(os.PathListSeparator)+os.Getenv("PATH"),
	)
	t.Cleanup(func() { b.must(t, "podman", "rm", "--all", "--force", "--time", "0") }) // what a failed test left mounted
	return b
}

// make builds the image by the Makefile, after something else that bash does.
func (b *box) make(t *testing.T, before string) {
	t.Helper()
	b.must(t, "bash", "-c", before+`exec "$@"`, "-", "make", "--no-print-directory", "-C", root, "image", "CONTAINER=podman",
		"IMAGE="+name, "ARCHS="+runtime.GOARCH, "VERSION="+version, "REVISION="+revision, fmt.Sprint("SOURCE_DATE_EPOCH=", epoch))
}

func (b *box) testConfig(t *testing.T) {
	var images []struct {
		Architecture, Os string
		Size             int
		Created          time.Time
		Config           struct {
			User            string
			Env, Entrypoint []string
			Cmd             []string
			ExposedPorts    map[string]any
			Labels          map[string]string
		}
	}
	if err := json.Unmarshal([]byte(b.must(t, "podman", "image", "inspect", name)), &images); err != nil {
		t.Fatal(err)
	}
	got := images[0]
	t.Logf("%d bytes", got.Size)
	if got.Size > largest {
		t.Errorf("the image has %d bytes; %d are enough", got.Size, largest)
	}
	if got.Architecture != runtime.GOARCH || got.Os != "linux" {
		t.Errorf("it is for %s/%s", got.Os, got.Architecture)
	}
	if got.Created.Unix() != epoch {
		t.Errorf("it was made at %s", got.Created)
	}
	config := got.Config
	if config.User != "65534:65534" || !slices.Equal(config.Entrypoint, []string{"/usr/local/bin/eso-tenant"}) {
		t.Errorf("it runs %q as %q", config.Entrypoint, config.User)
	}
	if len(config.Cmd) > 0 || len(config.ExposedPorts) > 0 || len(config.Env) > 1 {
		t.Errorf("it has arguments, ports or an environment: %+v", config)
	}
	delete(config.Labels, "io.buildah.version") // the builder's own
	want := map[string]string{
		"title":       "eso-tenant",
		"description": "Expands one small specification per tenant into manifests that fence External Secrets Operator",
		"source":      "https://github.com/eso-tenant/eso-tenant",
		"licenses":    "Apache-2.0",
		"version":     version,
		"revision":    revision,
	}
	for key, value := range want {
		if label := config.Labels["org.opencontainers.image."+key]; label != value {
			t.Errorf("label %s is %q, want %q", key, label, value)
		}
	}
	if len(config.Labels) != len(want) {
		t.Errorf("there are other labels: %v", config.Labels)
	}
}

// testFiles: nothing but the binary and the two files that name nobody, root's, and writable by nobody else.
func (b *box) testFiles(t *testing.T) {
	got := map[string]string{}
	for file, header := range b.files(t, name) {
		if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != epoch {
			t.Errorf("%s is of %d:%d, of %s", file, header.Uid, header.Gid, header.ModTime)
		}
		got[file] = fmt.Sprintf("%o", header.Mode&0o7777)
	}
	want := map[string]string{"etc/passwd": "644", "etc/group": "644", "usr/local/bin/eso-tenant": "755"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the image (-want +got):\n%s", diff)
	}
}

// files are the regular files in an image's layers.
func (b *box) files(t *testing.T, image string) map[string]*tar.Header {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	b.must(t, "podman", "image", "save", "--quiet", "--format", "docker-archive", "--output", archive, image)
	all := map[string]*tar.Header{}
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for header, content := range entries(t, file) {
		if path.Ext(header.Name) != ".tar" {
			continue
		}
		for inner := range entries(t, content) {
			if inner.Typeflag == tar.TypeReg {
				all[inner.Name] = inner
			} else if inner.Typeflag != tar.TypeDir {
				t.Errorf("%s is neither a file nor a folder", inner.Name)
			}
		}
	}
	return all
}

// entries goes through a tar archive.
func entries(t *testing.T, r io.Reader) func(yield func(*tar.Header, io.Reader) bool) {
	t.Helper()
	return func(yield func(*tar.Header, io.Reader) bool) {
		archive := tar.NewReader(r)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !yield(header, archive) {
				return
			}
		}
	}
}

// testReproducible: the same sources make the same image, whatever the time and the umask.
func (b *box) testReproducible(t *testing.T) {
	id := func() string { return b.must(t, "podman", "image", "inspect", "--format", "{{.Id}}", name) }
	before := id()
	b.must(t, "podman", "image", "untag", name)
	b.make(t, "umask 077; ")
	if after := id(); before != after {
		t.Errorf("the first build is %s, the second %s", before, after)
	}
}

// testArchitectures: the Dockerfile takes each architecture's binary. What stands for them here is not run.
func (b *box) testArchitectures(t *testing.T) {
	context := t.TempDir()
	for _, file := range []string{"passwd", "group"} {
		write(t, filepath.Join(context, file), "")
	}
	sizes := map[string]int64{"amd64": 5, "arm64": 6}
	for arch, size := range sizes {
		write(t, filepath.Join(context, arch, "eso-tenant"), strings.Repeat("x", int(size)))
	}
	for arch, size := range sizes {
		image := "stand-in-" + arch
		b.must(t, "podman", "build", "--file", root+"/Dockerfile", "--platform", "linux/"+arch, "--tag", image, context)
		if got := b.must(t, "podman", "image", "inspect", "--format", "{{.Architecture}}", image); got != arch+"\n" {
			t.Errorf("the image for %s is for %s", arch, got)
		}
		if got := b.files(t, image)["usr/local/bin/eso-tenant"]; got == nil || got.Size != size {
			t.Errorf("the image for %s has another's binary", arch)
		}
	}
}

func (b *box) testCommand(t *testing.T) {
	if got := b.must(t, "podman", "run", "--rm", "--network", "none", name, "version"); !strings.HasPrefix(got, "eso-tenant "+version+"\n") {
		t.Errorf("version says\n%s", got)
	}
}

// testEmpty: without arguments it is the function, and says what it lacks.
func (b *box) testEmpty(t *testing.T) {
	cmd := b.command(t, "podman", "run", "--rm", "--interactive", "--network", "none", name)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("it ends with %v, not exit status 3", err)
	}
	if want := "reading a ResourceList from standard input"; !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
		t.Errorf("standard error has no %q:\n%s\nstandard output is\n%s", want, &stderr, &stdout)
	}
}

// testUser looks at a process that waits for its input.
func (b *box) testUser(t *testing.T) {
	for user, want := range map[string]string{"": "nobody", "nobody": "nobody", "4711": "4711"} {
		args := []string{"run", "--detach", "--interactive", "--network", "none", "--security-opt", "no-new-privileges"}
		if user != "" {
			args = append(args, "--user", user)
		}
		id := strings.TrimSpace(b.must(t, "podman", append(args, name)...))
		_, got, _ := strings.Cut(b.must(t, "podman", "top", id, "user", "capeff", "comm"), "\n") // below the titles
		if want := []string{want, "none", "eso-tenant"}; !slices.Equal(strings.Fields(got), want) {
			t.Errorf("as user %q it runs as %q, not %q", user, got, want)
		}
		b.must(t, "podman", "rm", "--force", "--time", "0", id)
	}
}

// testBare: no network, no file that can be written, no capability, a user that nobody has named.
func (b *box) testBare(t *testing.T) {
	cmd := b.command(t, "podman", "run", "--rm", "--interactive", "--network", "none", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all",
		"--security-opt", "no-new-privileges", "--user", "4711:4711", name)
	cmd.Stdin = strings.NewReader("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\n")
	if got := output(t, cmd); !strings.Contains(got, "kind: ResourceList\n") {
		t.Errorf("an empty list gives\n%s", got)
	}
}

// testKustomize: the example makes the objects that `render` makes.
func (b *box) testKustomize(t *testing.T) {
	dir := example(t)
	got := b.must(t, kustomize(t), "build", "--enable-alpha-plugins", dir)

	binary, err := filepath.Abs(filepath.Join(root, "bin", "image", runtime.GOARCH, "eso-tenant"))
	if err != nil {
		t.Fatal(err)
	}
	plain := t.TempDir()
	write(t, filepath.Join(plain, "kustomization.yaml"), "resources: [rendered.yaml]\nsortOptions: {order: fifo}\n")
	write(t, filepath.Join(plain, "rendered.yaml"), b.must(t, binary, "render", filepath.Join(dir, "specs")))
	want := b.must(t, kustomize(t), "build", plain)
	if strings.Count(want, "\nkind: ") < 10 {
		t.Fatalf("there is little to compare:\n%s", want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the container makes other objects (-render +container):\n%s", diff)
	}

	calls, err := os.ReadFile(filepath.Join(b.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--network none", "--user nobody", "--security-opt=no-new-privileges", name} {
		if !strings.Contains(string(calls), flag) {
			t.Errorf("kustomize does not say %s any more:\n%s", flag, calls)
		}
	}
}

// testRefusal: a mistake in a specification ends the build, with its reason.
func (b *box) testRefusal(t *testing.T) {
	dir := example(t)
	tenant := filepath.Join(dir, "specs", "tenants", "blog.yaml")
	text, err := os.ReadFile(tenant)
	if err != nil {
		t.Fatal(err)
	}
	write(t, tenant, strings.Replace(string(text), "provider: vault", "provider: valt", 1))
	cmd := b.command(t, kustomize(t), "build", "--enable-alpha-plugins", dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err == nil || stdout.Len() > 0 {
		t.Errorf("kustomize ends with %v, and writes\n%s", err, &stdout)
	}
	if want := `"valt" is no provider of Platform eu-1 [provider-unknown]`; !strings.Contains(stderr.String(), want) {
		t.Errorf("standard error has no %s:\n%s", want, &stderr)
	}
}

// example is a copy of the example that runs the image.
func example(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(root+"/examples/container-function")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kustomize is the one that make built or was told of.
func kustomize(t *testing.T) string {
	t.Helper()
	named := os.Getenv("KUSTOMIZE")
	if named == "" {
		t.Fatal("KUSTOMIZE names no kustomize; run `make image-test`")
	}
	return named
}

// command is a program that finds this box's engine.
func (b *box) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = b.env
	return cmd
}

// must returns the output of a command that has to work.
func (b *box) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	return output(t, b.command(t, name, args...))
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strconv.Quote(cmd.String()), err, &stdout, &stderr)
	}
	return stdout.String()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
