package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/fluxcd/pkg/runtime/acl"
	fluxcontroller "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/jitter"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/eso-tenant/eso-tenant/internal/controller"
)

// options are the flags, named and grouped as those of Flux's own controllers.
type options struct {
	metricsAddr, healthAddr, eventsAddr          string
	storagePath, storageAddr, storageAdvAddr     string
	artifactRetention                            time.Duration
	concurrent, workers                          int
	requeueDependency, timeout, fetchTimeout     time.Duration
	serviceAccountName, runtimeNamespace, source string
	qps                                          float32
	burst                                        int
	limits                                       controller.Limits
	maxCUEBytes                                  uint64

	log    logger.Options
	leader leaderelection.Options
	watch  fluxcontroller.WatchOptions
	rate   fluxcontroller.RateLimiterOptions
	jitter jitter.IntervalOptions
	acl    acl.Options
}

// errHelp says that help was asked for, and given.
var errHelp = errors.New("help")

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{
		limits:           controller.DefaultLimits(),
		runtimeNamespace: cmp.Or(os.Getenv("RUNTIME_NAMESPACE"), "flux-system"),
		source:           os.Getenv("SOURCE_CONTROLLER_LOCALHOST"),
	}
	flags := pflag.NewFlagSet("eso-tenant-controller", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	o.bind(flags)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return nil, errHelp
	case err != nil:
		return nil, err
	case flags.NArg() > 0:
		return nil, fmt.Errorf("there is an argument too many: %q", flags.Arg(0))
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsAddr, "metrics-addr", ":8080", "The address of the metrics endpoint; 0 for none.")
	flags.StringVar(&o.healthAddr, "health-addr", ":9440", "The address of the health endpoints, /healthz and /readyz.")
	flags.StringVar(&o.eventsAddr, "events-addr", "", "The address of notification-controller's event receiver.")
	flags.StringVar(&o.storagePath, "storage-path", "/data", "The folder where artifacts are kept.")
	flags.StringVar(&o.storageAddr, "storage-addr", ":9090", "The address that artifacts are served on.")
	flags.StringVar(&o.storageAdvAddr, "storage-adv-addr", "", "The host and port that artifacts are fetched from, such as that of a Service. Default: this host's name.")
	flags.DurationVar(&o.artifactRetention, "artifact-retention-ttl", 5*time.Minute, "How long an artifact is kept that is no longer in use.")
	flags.IntVar(&o.concurrent, "concurrent", 4, "How many TenantGenerators are handled at a time. Sources are expanded one after another.")
	flags.IntVar(&o.workers, "concurrent-writes", 8, "How many ExternalArtifacts are written at a time.")
	flags.DurationVar(&o.requeueDependency, "requeue-dependency", 30*time.Second, "How long to wait for a source that is not ready.")
	flags.DurationVar(&o.timeout, "reconciliation-timeout", 10*time.Minute, "How long one reconciliation may take.")
	flags.DurationVar(&o.fetchTimeout, "fetch-timeout", time.Minute, "How long fetching a source's artifact may take.")
	flags.Int64Var(&o.limits.Download, "max-artifact-size", o.limits.Download, "The largest artifact of a source that is fetched, in bytes.")
	flags.Int64Var(&o.limits.Total, "max-source-size", o.limits.Total, "The most that a source's files may have, in bytes.")
	flags.IntVar(&o.limits.Files, "max-source-files", o.limits.Files, "The most files and folders that a source may have.")
	flags.Uint64Var(&o.maxCUEBytes, "max-cue-memory", 384<<20, "The most memory that the process may hold while CUE is evaluated, in bytes: less than the container's limit.")
	flags.StringVar(&o.serviceAccountName, "default-applier", "eso-tenant-applier", "The service account that generated Kustomizations run as, where the Platform names none.")
	flags.Float32Var(&o.qps, "kube-api-qps", -1, "Requests a second to the API server; -1 leaves it to the server's own priority and fairness.")
	flags.IntVar(&o.burst, "kube-api-burst", 300, "Requests to the API server at once, with --kube-api-qps.")
	o.log.BindFlags(flags)
	o.leader.BindFlags(flags)
	o.watch.BindFlags(flags)
	_ = flags.MarkHidden("watch-configs-label-selector") // no ConfigMap and no Secret is read
	o.rate.BindFlags(flags)
	o.jitter.BindFlags(flags)
	o.acl.BindFlags(flags)
	kubeconfig := flag.NewFlagSet("", flag.ContinueOnError)
	config.RegisterFlags(kubeconfig)
	flags.AddGoFlagSet(kubeconfig)
}

// complete fills in and checks what flags alone do not say.
func (o *options) complete() error {
	if o.concurrent < 1 || o.workers < 1 {
		return errors.New("--concurrent and --concurrent-writes are at least 1")
	}
	if o.limits.Download < 1 || o.limits.Total < 1 || o.limits.Files < 1 {
		return errors.New("--max-artifact-size, --max-source-size and --max-source-files are at least 1")
	}
	if o.storageAdvAddr != "" {
		return nil
	}
	host, port, err := net.SplitHostPort(o.storageAddr)
	if err != nil {
		return fmt.Errorf("--storage-addr is no host:port: %w", err)
	}
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return fmt.Errorf("--storage-adv-addr is needed: %w", err)
		}
	}
	o.storageAdvAddr = net.JoinHostPort(host, port)
	return nil
}
