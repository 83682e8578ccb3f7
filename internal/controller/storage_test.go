package controller

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/fn"
)

func openStorage(t testing.TB) (*Storage, string) {
	t.Helper()
	folder := t.TempDir()
	s, err := OpenStorage(folder, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, folder
}

// there tells whether a file is in a storage.
func there(s *Storage, name string) bool {
	_, err := os.Stat(s.file(name))
	return err == nil
}

var someFiles = []fn.TreeFile{{Inside: "a/b.yaml", Data: []byte("b")}, {Inside: "c.yaml", Data: []byte("c")}}

// What is stored is what is read back, and the same files give the same bytes.
func TestStoredIsRead(t *testing.T) {
	s, folder := openStorage(t)
	key := types.NamespacedName{Namespace: "ns", Name: "web"}
	first, err := s.Put(key, ContentHash(someFiles), someFiles)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, first.Path))
	if err != nil {
		t.Fatal(err)
	}
	files, err := readTree(bytes.NewReader(data), small)
	if diff := cmp.Diff(someFiles, files); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	second, err := s.Put(key, ContentHash(someFiles), someFiles)
	if err != nil || first != second {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, filepath.Dir(first.Path), "*.new")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestContentHash(t *testing.T) {
	seen := map[string][]fn.TreeFile{}
	for _, files := range [][]fn.TreeFile{
		nil, someFiles, someFiles[:1],
		{{Inside: "a", Data: []byte("bc")}},
		{{Inside: "ab", Data: []byte("c")}},
		{{Inside: "a", Data: []byte("b")}, {Inside: "c"}},
		{{Inside: "a"}, {Inside: "b", Data: []byte("c")}},
	} {
		hash := ContentHash(files)
		if other, twice := seen[hash]; twice {
			t.Errorf("%v and %v have one hash", files, other)
		}
		seen[hash] = files
	}
}

func TestNames(t *testing.T) {
	s, _ := openStorage(t)
	for _, key := range []types.NamespacedName{{Namespace: "..", Name: "x"}, {Namespace: "ns", Name: ".."}, {Namespace: "", Name: "x"}, {Namespace: "a/b", Name: "x"}, {Namespace: "ns", Name: "A"}} {
		if _, err := s.Put(key, ContentHash(nil), nil); err == nil {
			t.Errorf("%v is stored", key)
		}
	}
}

func TestServer(t *testing.T) {
	s, folder := openStorage(t)
	stored, err := s.Put(types.NamespacedName{Namespace: "ns", Name: "web"}, ContentHash(someFiles), someFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "secret.tar.gz"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := strings.Replace(stored.Path, ContentHash(someFiles), strings.Repeat("0", 64), 1)
	if err := os.Symlink(outside, filepath.Join(folder, link)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/" + stored.Path, 200},
		{"HEAD", "/" + stored.Path, 200},
		{"POST", "/" + stored.Path, 405},
		{"DELETE", "/" + stored.Path, 405},
		{"GET", "/", 404},
		{"GET", "/externalartifact", 404},
		{"GET", "/externalartifact/", 404},
		{"GET", "/externalartifact/ns/", 404},
		{"GET", "/" + filepath.Dir(stored.Path) + "/", 404},
		{"GET", "/" + stored.Path + "/", 404},
		{"GET", "//" + stored.Path, 404},
		{"GET", "/externalartifact/ns/../ns/web/" + filepath.Base(stored.Path), 404},
		{"GET", "/secret.tar.gz", 404},
		{"GET", "/" + stored.Path + ".new", 404},
		{"GET", "/" + link, 404},
		{"GET", "/../../../etc/passwd", 404},
	} {
		answer := httptest.NewRecorder()
		request := &http.Request{Method: test.method, URL: mustURL(test.path), Header: http.Header{}}
		s.Handler().ServeHTTP(answer, request)
		if answer.Code != test.code {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, answer.Code, test.code)
		}
		if answer.Code != 200 && strings.Contains(answer.Body.String(), "web") {
			t.Errorf("%s %s tells of a name: %s", test.method, test.path, answer.Body)
		}
	}
}

// However artifacts come, change, come back and go: what is live is never
// collected, however old; what is not is gone once it was out of use for long
// enough, and not before.
func TestCollectProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "eso-tenant-gc-") //nolint:usetesting // one for each run of the property
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		s, err := OpenStorage(folder, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		const retention = time.Hour
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		live := map[string]string{}        // by name of the artifact
		lastUsed := map[string]time.Time{} // by path
		names := rapid.SampledFrom([]string{"a", "a.b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				name := names.Draw(t, "name")
				files := []fn.TreeFile{{Inside: "x", Data: []byte(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "content")))}}
				stored, err := s.Put(types.NamespacedName{Namespace: "ns", Name: name}, ContentHash(files), files)
				if err != nil {
					t.Fatal(err)
				}
				retire(t, s, live, lastUsed, name, now)
				live[name] = stored.Path
				lastUsed[stored.Path] = now
				_ = s.Touch(stored.Path, now) // the clock of the property, not the machine's
			},
			"delete": func(t *rapid.T) {
				name := names.Draw(t, "name")
				retire(t, s, live, lastUsed, name, now)
				delete(live, name)
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute) },
			"collect": func(t *rapid.T) {
				paths := map[string]bool{}
				for _, path := range live {
					paths[path] = true
				}
				if _, err := s.Collect(paths, now.Add(-retention)); err != nil {
					t.Fatal(err)
				}
				for path, used := range lastUsed {
					should := paths[path] || !used.Before(now.Add(-retention))
					if there(s, path) != should {
						t.Fatalf("%s, last used %s ago, live %t: held %t", path, now.Sub(used), paths[path], !should)
					}
					if !should {
						delete(lastUsed, path)
					}
				}
			},
		})
	})
}

func retire(t *rapid.T, s *Storage, live map[string]string, lastUsed map[string]time.Time, name string, now time.Time) {
	if old, ok := live[name]; ok {
		if err := s.Touch(old, now); err != nil {
			t.Fatal(err)
		}
		lastUsed[old] = now
	}
}

func TestCollectFolders(t *testing.T) {
	s, folder := openStorage(t)
	stored, err := s.Put(types.NamespacedName{Namespace: "ns", Name: "web"}, ContentHash(someFiles), someFiles)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Collect(nil, time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := s.Collect(nil, time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(folder, filepath.Dir(stored.Path))); err == nil {
		t.Error("the folder stays")
	}
	if _, err := os.Stat(filepath.Join(folder, storedFolder)); err != nil {
		t.Error("the storage's own folder went")
	}
}
