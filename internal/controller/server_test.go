package controller

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func mustURL(path string) *url.URL { return &url.URL{Path: path} }

// The server ends with its context, and serves until then.
func TestFileServer(t *testing.T) {
	s, _ := openStorage(t)
	stored, err := s.Put(types.NamespacedName{Namespace: "ns", Name: "web"}, ContentHash(someFiles), someFiles)
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- (&FileServer{Storage: s, Address: address}).Start(ctx) }()
	for range 200 {
		response, err := http.Get("http://" + address + "/" + stored.Path)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%d", response.StatusCode)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	t.Fatalf("it does not serve: %v", <-ended)
}
