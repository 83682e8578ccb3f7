package bed

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// proxy stands in for a cluster's DNS: it is an HTTP proxy that connects a name that it knows to a server of the bed, and
// refuses all else. TLS goes through it as it is, so that certificates are checked against the name. ESO uses it by its
// HTTPS_PROXY, and what we render can say `https://kubernetes.default.svc` as in a real cluster. Flux's controllers fetch
// artifacts through it without TLS.
type proxy struct {
	listener net.Listener
	server   *http.Server
	mutex    sync.Mutex
	routes   map[string]string
}

func newProxy() (*proxy, error) {
	listener, err := listen()
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, routes: map[string]string{}}
	p.server = serve(listener, http.HandlerFunc(p.connect))
	return p, nil
}

// listen returns a listener of 127.0.0.1 at a free port.
func listen() (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
}

// serve answers in the background until the server is closed.
func serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = server.Serve(listener) // ends with http.ErrServerClosed
	}()
	return server
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) close() { _ = p.server.Close() }

// route lets a name with a port, as kubernetes.default.svc:443, lead to an address.
func (p *proxy) route(name, address string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.routes[name] = address
}

func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	name := r.Host
	if _, _, err := net.SplitHostPort(name); err != nil {
		name += ":80"
	}
	p.mutex.Lock()
	address := p.routes[name]
	p.mutex.Unlock()
	if address == "" {
		http.Error(w, "the test bed has no such server", http.StatusBadGateway)
		return
	}
	if r.Method != http.MethodConnect {
		reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
		reverse.ErrorLog = log.New(io.Discard, "", 0) // who asks is told, and tests kill servers
		reverse.ServeHTTP(w, r)
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(r.Context(), "tcp4", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer hangUp(server)
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer hangUp(client)
	done := make(chan struct{}, 2)
	go transfer(server, buffered, done)
	go transfer(client, server, done)
	<-done
}

// hangUp closes what the other side may have closed already.
func hangUp(connection net.Conn) { _ = connection.Close() }

func transfer(to io.Writer, from io.Reader, done chan<- struct{}) {
	_, _ = io.Copy(to, from) // either side may hang up
	done <- struct{}{}
}
