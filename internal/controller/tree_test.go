package controller

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// hostile makes an archive by hand.
func hostile(t testing.TB, write func(w *tar.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	_, _ = zip.Write(make([]byte, 1024)) // the archive's end
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(w *tar.Writer, name, data string) {
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644})
	_, _ = io.WriteString(w, data)
}

var small = Limits{Download: 1 << 20, Total: 1 << 20, File: 512 << 10, Files: 100, Depth: 8}

func TestHostileArchives(t *testing.T) {
	entry := func(kind byte, name, link string) func(w *tar.Writer) {
		return func(w *tar.Writer) {
			_ = w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: 0o644})
		}
	}
	tests := map[string]struct {
		write func(w *tar.Writer)
		want  string
	}{
		"a path upwards":         {func(w *tar.Writer) { file(w, "../x.yaml", "x") }, "no path inside"},
		"a path up and down":     {func(w *tar.Writer) { file(w, "a/../../x.yaml", "x") }, "no path inside"},
		"a path that comes back": {func(w *tar.Writer) { file(w, "a/../x.yaml", "x") }, "no path inside"},
		"an absolute path":       {func(w *tar.Writer) { file(w, "/etc/passwd", "x") }, "no path inside"},
		"a backslash":            {func(w *tar.Writer) { file(w, `..\x.yaml`, "x") }, "no path inside"},
		"no name":                {func(w *tar.Writer) { file(w, "", "x") }, "no path inside"},
		"the root as a file":     {func(w *tar.Writer) { file(w, "./.", "x") }, "twice"},
		"a symbolic link":        {entry(tar.TypeSymlink, "x.yaml", "/etc/passwd"), "no regular file"},
		"a link to a folder":     {entry(tar.TypeSymlink, "tenants", "/"), "no regular file"},
		"a hard link":            {entry(tar.TypeLink, "x.yaml", "platform.yaml"), "no regular file"},
		"a device":               {entry(tar.TypeChar, "x.yaml", ""), "no regular file"},
		"a block device":         {entry(tar.TypeBlock, "x.yaml", ""), "no regular file"},
		"a pipe":                 {entry(tar.TypeFifo, "x.yaml", ""), "no regular file"},
		"a file twice":           {func(w *tar.Writer) { file(w, "x.yaml", "x"); file(w, "./x.yaml", "y") }, "twice"},
		"a file in a file":       {func(w *tar.Writer) { file(w, "x", "x"); file(w, "x/y", "y") }, "as a file and as a folder"},
		"a file over a folder":   {func(w *tar.Writer) { file(w, "x/y", "x"); file(w, "x", "y") }, "twice"},
		"a folder over a file":   {func(w *tar.Writer) { file(w, "x", "x"); entry(tar.TypeDir, "x/", "")(w) }, "as a file and as a folder"},
		"too deep":               {func(w *tar.Writer) { file(w, strings.Repeat("a/", 8)+"x", "x") }, "more than 8 folders"},
		"a large file":           {func(w *tar.Writer) { file(w, "x", strings.Repeat("x", 513<<10)) }, "MiB"},
		"large files": {func(w *tar.Writer) {
			for i := range 3 {
				file(w, fmt.Sprint(i), strings.Repeat("x", 400<<10))
			}
		}, "MiB"},
		"many files": {func(w *tar.Writer) {
			for i := range 101 {
				file(w, fmt.Sprint(i), "")
			}
		}, "more than 100 files"},
		"many folders": {func(w *tar.Writer) {
			for i := range 101 {
				entry(tar.TypeDir, fmt.Sprint(i), "")(w)
			}
		}, "more than 100 files"},
		"a bomb of headers": {func(w *tar.Writer) {
			file(w, "x", "")
			_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "y", PAXRecords: map[string]string{"a.b": strings.Repeat("x", 900<<10)}})
		}, ""},
		"a size that is a lie": {func(w *tar.Writer) {
			_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 100 << 30, Mode: 0o644})
		}, "MiB"},
		"a file that breaks off":  {nil, "no whole archive"},
		"no gzip":                 {nil, "no gzip"},
		"nothing":                 {nil, "no gzip"},
		"an end that is not zero": {nil, "no whole archive"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var data []byte
			switch name {
			case "a file that breaks off":
				data = hostile(t, func(w *tar.Writer) { file(w, "x", strings.Repeat("x", 4000)) })
				data = data[:len(data)/2]
			case "no gzip":
				data = []byte("hello")
			case "nothing":
			case "an end that is not zero":
				data = hostile(t, func(w *tar.Writer) { file(w, "x", "x") })
				data = append(data[:len(data)-4], 1, 2, 3, 4) // the checksum's own bytes
			case "a size that is a lie":
				var out bytes.Buffer
				zip := gzip.NewWriter(&out)
				test.write(tar.NewWriter(zip))
				_ = zip.Close()
				data = out.Bytes()
			default:
				data = hostile(t, test.write)
			}
			files, err := readTree(bytes.NewReader(data), small)
			refused := (*ArtifactError)(nil)
			if !errors.As(err, &refused) && test.want != "" || len(files) > 0 && test.want != "" {
				t.Fatalf("it was read: %v, %d files", err, len(files))
			}
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
		})
	}
}

// A bomb is refused in the memory that an honest archive may take, and long
// before it is unpacked.
func TestBomb(t *testing.T) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	const size = 1 << 30
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeGNUSparse, Name: "x", Size: 0}); err == nil {
		t.Log("a sparse file was written")
	}
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "x", PAXRecords: map[string]string{"a": "b"}})
	// Behind the headers, zeros without end: to tar they are the archive's end.
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		_, _ = zip.Write(zeros)
	}
	_ = zip.Close()
	if out.Len() > 4<<20 {
		t.Fatalf("the bomb has %d bytes", out.Len())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files, err := readTree(bytes.NewReader(out.Bytes()), small)
	runtime.ReadMemStats(&after)
	if len(files) > 0 {
		t.Errorf("files: %d, %v", len(files), err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("it took %d MiB", used>>20)
	}
}

func TestReadTree(t *testing.T) {
	data := hostile(t, func(w *tar.Writer) {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "abc"}})
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755})
		file(w, "./b/c.yaml", "c")
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "b/", Mode: 0o755})
		file(w, "a.yaml", "a")
	})
	files, err := readTree(bytes.NewReader(data), small)
	if err != nil || len(files) != 2 || files[0].Inside != "a.yaml" || files[1].Inside != "b/c.yaml" || string(files[1].Data) != "c" {
		t.Errorf("%v, %v", files, err)
	}
}

func FuzzReadTree(f *testing.F) {
	f.Add(hostile(f, func(w *tar.Writer) { file(w, "a/b.yaml", "x") }))
	f.Add(hostile(f, func(w *tar.Writer) { file(w, "../x", "x") }))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := readTree(bytes.NewReader(data), small)
		if refused := (*ArtifactError)(nil); err != nil && !errors.As(err, &refused) {
			t.Errorf("%v is not the archive's fault", err)
		}
		total := 0
		for _, f := range files {
			total += len(f.Data)
			if strings.Contains("/"+f.Inside+"/", "/../") || strings.HasPrefix(f.Inside, "/") {
				t.Errorf("a path outside: %q", f.Inside)
			}
		}
		if total > int(small.Total) || len(files) > small.Files {
			t.Errorf("%d files, %d bytes", len(files), total)
		}
	})
}
