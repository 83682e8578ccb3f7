package controller

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eso-tenant/eso-tenant/fn"
)

// Storage keeps artifacts as files, each named by what is in it:
//
//	externalartifact/<namespace>/<name>/<hash of the content>.tar.gz
//
// A file never changes. It is written beside its place and moved there.
type Storage struct {
	folder  string
	root    *os.Root // the same, for names that somebody else says
	address string   // that consumers reach the file server by: host[:port], or a URL without a path
}

// storedFolder is the top folder, as in source-watcher's storage.
const storedFolder = "externalartifact"

// storedName is the only form of name that is served or collected.
var storedName = regexp.MustCompile(`^externalartifact/[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[0-9a-f]{64}\.tar\.gz$`)

// OpenStorage opens a folder as a storage whose files are served at an address.
// Nothing outside of the folder is read or written, whatever links are in it.
func OpenStorage(folder, address string) (*Storage, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("opening the storage: %w", err)
	}
	if err := root.MkdirAll(storedFolder, 0o750); err != nil {
		return nil, fmt.Errorf("opening the storage: %w", err)
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return &Storage{folder: folder, root: root, address: strings.TrimSuffix(address, "/")}, nil
}

// Close lets go of the folder.
func (s *Storage) Close() error { return s.root.Close() }

// Stored is an artifact in the storage.
type Stored struct {
	Path   string // in the storage
	Digest string // of the file
	Size   int64
}

// URL is where consumers get an artifact.
func (s *Storage) URL(name string) string { return s.address + "/" + name }

// ContentHash is a digest of files' names and contents: not of an archive, so
// that it is the same whatever Go or gzip makes the archive. Files come sorted.
func ContentHash(files []fn.TreeFile) string {
	sum := sha256.New()
	var length [8]byte
	text := func(s []byte) {
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		sum.Write(length[:])
		sum.Write(s)
	}
	for _, f := range files {
		text([]byte(f.Inside))
		text(f.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// StoredPath is where an artifact of some content is.
func StoredPath(key types.NamespacedName, hash string) string {
	return path.Join(storedFolder, key.Namespace, key.Name, hash+".tar.gz")
}

// file is where a name of ours is on the disk. Each is of the form of
// storedName, so that it cannot lead anywhere else.
func (s *Storage) file(name string) string { return filepath.Join(s.folder, filepath.FromSlash(name)) }

// Holds tells whether a file is there and is what its digest says.
func (s *Storage) Holds(name, want string) bool {
	if !storedName.MatchString(name) {
		return false
	}
	f, err := os.Open(s.file(name))
	if err != nil {
		return false
	}
	defer f.Close()
	sum := digest.Canonical.Digester()
	_, err = io.Copy(sum.Hash(), f)
	return err == nil && sum.Digest().String() == want
}

// Put stores files as an artifact. The same files give the same bytes. A file
// that is there already is written again: it may be damaged, and the garbage
// collector has to see it as new.
func (s *Storage) Put(key types.NamespacedName, hash string, files []fn.TreeFile) (Stored, error) {
	name := StoredPath(key, hash)
	if !storedName.MatchString(name) {
		return Stored{}, fmt.Errorf("storing an artifact: %q is no name of one", name)
	}
	a, _ := archivers.Get().(*archiver)
	defer archivers.Put(a)
	data, err := a.archive(files)
	if err == nil {
		err = s.write(s.file(name), data)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("storing an artifact: %w", err)
	}
	return Stored{Path: name, Digest: digest.Canonical.FromBytes(data).String(), Size: int64(len(data))}, nil
}

// write writes a file beside its place and moves it there. It is not flushed to
// the disk: what a crash leaves damaged is found by its digest at the start.
func (*Storage) write(file string, data []byte) error {
	temporary := file + ".new"
	err := os.WriteFile(temporary, data, 0o640)
	if errors.Is(err, fs.ErrNotExist) { // the artifact's first file
		if err = os.MkdirAll(filepath.Dir(file), 0o750); err == nil {
			err = os.WriteFile(temporary, data, 0o640)
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// Touch makes a file new for the garbage collector: it is in use until now, and
// somebody may be about to fetch it still.
func (s *Storage) Touch(name string, now time.Time) error {
	if !storedName.MatchString(name) {
		return nil // somebody else's, or nobody's
	}
	if err := os.Chtimes(s.file(name), now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping an artifact: %w", err)
	}
	return nil
}

// archivers keeps compressors, of which each takes most of a megabyte to make.
// They are quick ones: a tenant's few kilobytes are not worth more.
var archivers = sync.Pool{New: func() any {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	return &archiver{zip: zip}
}}

type archiver struct {
	out bytes.Buffer
	zip *gzip.Writer
}

// archive makes a tar.gz of files. No time, owner or name of a machine is in it.
func (a *archiver) archive(files []fn.TreeFile) ([]byte, error) {
	a.out.Reset()
	a.zip.Reset(&a.out)
	w := tar.NewWriter(a.zip)
	folders := map[string]bool{".": true}
	for _, f := range files {
		if err := addFolders(w, folders, path.Dir(f.Inside)); err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Inside, Size: int64(len(f.Data)), Mode: 0o644, Format: tar.FormatPAX}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), a.zip.Close()); err != nil {
		return nil, err
	}
	return bytes.Clone(a.out.Bytes()), nil
}

func addFolders(w *tar.Writer, done map[string]bool, folder string) error {
	if done[folder] {
		return nil
	}
	done[folder] = true
	if err := addFolders(w, done, path.Dir(folder)); err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, Format: tar.FormatPAX})
}
