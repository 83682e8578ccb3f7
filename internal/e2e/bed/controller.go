package bed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// controllerName is what the controller, its Deployment, its Service and its account are called in deploy/.
const controllerName = "eso-tenant-controller"

// image is what the kustomization has in place of that of deploy/.
const image = "registry.example.com/eso-tenant-controller"

// Controller is eso-tenant-controller as deploy/ installs it. No pod starts in the bed, so its processes are started here,
// with the arguments and the environment of its Deployment but for addresses and the storage's folder, and a token of its
// service account. The Service's name leads to whichever of them is ready.
type Controller struct {
	// First is the replica that was started with it.
	First *Replica

	bed        *Bed
	binary     string
	kubeconfig string
	receiver   string // the address that events go to
	events     eventReceiver

	mutex       sync.Mutex
	deployments map[string]container // by name
	replicas    []*Replica
}

// container is what a Deployment says of its only one.
type container struct{ arguments, environment []string }

// Replica is one process of the controller, and what a pod of it would have: a place, and a volume.
type Replica struct {
	// Storage is the folder of its artifacts. It outlives the process.
	Storage string
	// Address is where it serves artifacts while it leads.
	Address string
	// Log is the file with all that it wrote, also before a restart.
	Log string

	controller *Controller
	name       string
	deployment string
	ports      []int
	arguments  []string
	process    *supervise.Process
}

// TryStartController builds the controller, installs deploy/ as TryInstall does, and starts one replica, called
// `controller`.
func (b *Bed) TryStartController(ctx context.Context) (*Controller, error) {
	c := &Controller{bed: b, kubeconfig: filepath.Join(b.Folder, controllerName+".kubeconfig")}
	var err error
	if c.binary, err = b.builder.Ours(ctx, controllerName, b.Folder); err != nil {
		return nil, err
	}
	if err := c.TryInstall(ctx); err != nil {
		return nil, err
	}
	token, err := b.Mint(ctx, FluxNamespace, controllerName, nil, 24*60*60)
	if err != nil {
		return nil, err
	}
	if err := b.Kubeconfig(c.kubeconfig, token); err != nil {
		return nil, err
	}
	listener, err := listen()
	if err != nil {
		return nil, err
	}
	c.receiver = "http://" + listener.Addr().String() + "/"
	receiver := serve(listener, &c.events)
	serving, cancel := context.WithCancel(b.Context())
	b.closers = append(b.closers, func() {
		cancel()
		_ = receiver.Close()
	})
	go c.services(serving)
	c.First, err = c.TryReplica(ctx, "controller", controllerName)
	return c, err
}

// TryInstall installs deploy/ by a kustomization as docs/flux.md has it, with components of it. Replicas that run go on as
// they are.
func (c *Controller) TryInstall(ctx context.Context, components ...string) error {
	installed, err := c.bed.deployed(ctx, components)
	if err != nil {
		return err
	}
	if err := c.bed.TryApply(ctx, installed); err != nil {
		return fmt.Errorf("installing deploy/: %w", err)
	}
	deployments := map[string]container{}
	for _, deployment := range installed.Of("Deployment") {
		if deployments[deployment.GetName()], err = read(deployment); err != nil {
			return fmt.Errorf("reading the Deployment %s: %w", deployment.GetName(), err)
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.deployments = deployments
	return nil
}

// deployed is what kustomize builds of deploy/, as a user has it beside a kustomization of his own.
func (b *Bed) deployed(ctx context.Context, components []string) (Objects, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(b.Folder, "deploy-")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(folder, "eso-tenant", "deploy"), os.DirFS(filepath.Join(root, "deploy"))); err != nil {
		return nil, err
	}
	var paths []string
	for _, component := range components {
		paths = append(paths, "eso-tenant/deploy/"+component)
	}
	kustomization := map[string]any{
		"resources": []string{"eso-tenant/deploy"}, "components": paths,
		"images": []any{map[string]string{"name": "localhost/eso-tenant-controller", "newName": image, "newTag": "v0.1.0"}},
	}
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	out, err := b.kubectl(ctx, "kustomize", folder)
	if err != nil {
		return nil, err
	}
	return Parse(out)
}

// read takes arguments and environment from a Deployment, as a kubelet does, but for where its pod would have what the bed
// has not.
func read(deployment *unstructured.Unstructured) (c container, err error) {
	var spec struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Image string
					Args  []string
					Env   []struct {
						Name, Value string
						ValueFrom   *struct{ FieldRef struct{ FieldPath string } }
					}
				}
			}
		}
	}
	if err := convert(deployment.Object["spec"], &spec); err != nil {
		return c, err
	}
	if len(spec.Template.Spec.Containers) != 1 || spec.Template.Spec.Containers[0].Image != image+":v0.1.0" {
		return c, fmt.Errorf("its containers are %+v, want one of the image that the kustomization says", spec.Template.Spec.Containers)
	}
	one := spec.Template.Spec.Containers[0]
	var variables []string
	for _, variable := range one.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			if path := variable.ValueFrom.FieldRef.FieldPath; path != "metadata.namespace" {
				return c, fmt.Errorf("the variable %s is from %q", variable.Name, path)
			}
			value = deployment.GetNamespace()
		}
		c.environment = append(c.environment, variable.Name+"="+value)
		variables = append(variables, "$("+variable.Name+")", value)
	}
	for _, argument := range one.Args {
		name, _, _ := strings.Cut(argument, "=")
		if !slices.Contains([]string{"--storage-path", "--events-addr"}, name) {
			c.arguments = append(c.arguments, strings.NewReplacer(variables...).Replace(argument))
		}
	}
	return c, nil
}

// TryReplica starts one more process of the controller, a replica of a Deployment, with arguments that come after those of
// the Deployment.
func (c *Controller) TryReplica(ctx context.Context, name, deployment string, arguments ...string) (*Replica, error) {
	ports, err := supervise.FreePorts(3)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		controller: c, name: name, deployment: deployment, ports: ports, arguments: arguments,
		Storage: filepath.Join(c.bed.Folder, name+"-data"), Address: host(ports[2]), Log: filepath.Join(c.bed.Logs(), name+".log"),
	}
	if err := os.MkdirAll(r.Storage, 0o700); err != nil {
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.replicas = append(c.replicas, r)
	return r, nil
}

// start starts the process, and waits until it lives: only one that leads is ready.
func (r *Replica) start(ctx context.Context) error {
	c := r.controller
	c.mutex.Lock()
	from, found := c.deployments[r.deployment]
	c.mutex.Unlock()
	if !found {
		return fmt.Errorf("starting %s: there is no Deployment %s", r.name, r.deployment)
	}
	process, err := c.bed.supervisor.Start(ctx, supervise.Program{
		Name: r.name, Path: c.binary,
		Environment: append(slices.Clone(from.environment), "HOME="+c.bed.Folder, "TMPDIR="+c.bed.Folder, "KUBECONFIG="+c.kubeconfig),
		Arguments: slices.Concat(from.arguments, []string{
			"--events-addr=" + c.receiver, "--storage-path=" + r.Storage, "--storage-addr=" + r.Address,
			"--metrics-addr=" + host(r.ports[0]), "--health-addr=" + host(r.ports[1]),
		}, r.arguments),
		Ready: get("http://" + host(r.ports[1]) + "/healthz"),
	})
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	r.process = process
	return nil
}

// TryRestart starts a replica whose process has ended, with other arguments in place of those it had.
func (r *Replica) TryRestart(ctx context.Context, arguments ...string) error {
	r.arguments = arguments
	return r.start(ctx)
}

// Stop ends a replica in order, as Kubernetes does.
func (r *Replica) Stop() { r.process.Stop() }

// Kill ends a replica at once.
func (r *Replica) Kill() { r.process.Kill() }

// Ready says with nil that a replica leads, and has published what it found.
func (r *Replica) Ready(ctx context.Context) error {
	return get("http://" + host(r.ports[1]) + "/readyz")(ctx)
}

// services does what Services do: the name of each leads to a replica of its Deployment that is ready. It asks more often
// than a kubelet.
func (c *Controller) services(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		c.mutex.Lock()
		replicas := slices.Clone(c.replicas)
		c.mutex.Unlock()
		addresses := map[string]string{}
		for _, r := range replicas {
			limited, cancel := context.WithTimeout(ctx, time.Second)
			if r.Ready(limited) == nil {
				addresses[r.deployment] = r.Address
			} else if addresses[r.deployment] == "" {
				addresses[r.deployment] = ""
			}
			cancel()
		}
		for name, address := range addresses {
			c.bed.proxy.route(name+"."+FluxNamespace+".svc.cluster.local.:80", address)
		}
	}
}

// Fetch gets an artifact as kustomize-controller does, by the Service's name: the answer's status, and its body.
func (c *Controller) Fetch(ctx context.Context, address string) (int, []byte, error) {
	through, err := url.Parse(c.bed.proxy.url())
	if err != nil {
		return 0, nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyURL(through), DisableKeepAlives: true}
	return fetch(ctx, &http.Client{Transport: transport}, address)
}

// Fetch gets a file of a replica, whether it is ready or not.
func (r *Replica) Fetch(ctx context.Context, path string) (int, []byte, error) {
	return fetch(ctx, http.DefaultClient, "http://"+r.Address+"/"+path)
}

func fetch(ctx context.Context, client *http.Client, address string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// Event is what notification-controller would be told.
type Event struct {
	InvolvedObject struct{ Kind, Namespace, Name string } `json:"involvedObject"`
	Severity       string                                 `json:"severity"`
	Reason         string                                 `json:"reason"`
	Message        string                                 `json:"message"`
	Metadata       map[string]string                      `json:"metadata"`
}

// eventReceiver stands in for notification-controller.
type eventReceiver struct {
	mutex sync.Mutex
	all   []Event
}

// ServeHTTP takes an event.
func (e *eventReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event Event
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.all = append(e.all, event)
	w.WriteHeader(http.StatusAccepted)
}

// EventsOf returns what was told of a TenantGenerator so far.
func (c *Controller) EventsOf(generator *unstructured.Unstructured) []Event {
	c.events.mutex.Lock()
	defer c.events.mutex.Unlock()
	var about []Event
	for _, event := range c.events.all {
		if event.InvolvedObject.Namespace == generator.GetNamespace() && event.InvolvedObject.Name == generator.GetName() {
			about = append(about, event)
		}
	}
	return about
}
