package kernelsetup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"palimpsest/pkg/backend"
)

// releases answers like the place of go-xla's releases, with one of a plugin for linux/arm64.
func releases(t *testing.T, content string) {
	t.Helper()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	packed := tar.NewWriter(zipped)
	name := "pjrt_c_api_cpu_" + backend.PluginRelease + "_plugin.so"
	if err := packed.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	_, written := packed.Write([]byte(content))
	if err := errors.Join(written, packed.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/releases/tags/"+backend.PluginRelease):
			fmt.Fprintf(w, `{"assets": [{"browser_download_url": "https://example.org/%s/pjrt_cpu_linux_arm64.tar.gz"}]}`, backend.PluginRelease)
		case strings.HasSuffix(r.URL.Path, "/pjrt_cpu_linux_arm64.tar.gz"):
			_, _ = w.Write(archive.Bytes())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := http.DefaultClient.Transport
	t.Cleanup(func() { http.DefaultClient.Transport = before })
	http.DefaultClient.Transport = toServer{at}
}

// toServer sends every request to one server.
type toServer struct{ at *url.URL }

// RoundTrip implements [http.RoundTripper].
func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = s.at.Scheme, s.at.Host, s.at.Host
	return http.DefaultTransport.RoundTrip(r)
}

// The plugin for a system that none is pinned for comes by go-xla's installer; what it has none for, and an interrupt, are one line.
func TestDownloadPlugin(t *testing.T) {
	releases(t, "a library")
	file, err := downloadPlugin(t.Context(), t.TempDir(), "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "a library" {
		t.Errorf("%s holds %q (%v)", file, content, err)
	}
	if _, err := downloadPlugin(t.Context(), t.TempDir(), "darwin/arm64"); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "setup --plugin FILE") {
		t.Errorf("a system that the release lacks: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := downloadPlugin(ctx, t.TempDir(), "plan9/arm64"); err == nil {
		t.Error("nothing is brought without an error")
	}
}
