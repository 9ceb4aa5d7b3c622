package kernelsetup

import (
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// Converter writes notebooks as pages and documents.
type Converter struct {
	page, pdf string
	jupyter   string // folder of the Python environment
	browser   string
}

// browsers are the names of the programs that can print a page.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// FindBrowser returns the path of Chromium or a browser made from it; "" where none is on PATH.
func FindBrowser() string {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// NewConverter returns a converter that writes a page and a document to these files; "" leaves one out. It installs JupyterLab, which
// contains nbconvert, if that is needed and missing.
func NewConverter(ctx context.Context, page, pdf string, out io.Writer) (*Converter, error) {
	c := &Converter{page: page, pdf: pdf}
	if page == "" && pdf == "" {
		return c, nil
	}
	if pdf != "" {
		if c.browser = FindBrowser(); c.browser == "" {
			return nil, errors.New("--pdf needs Chromium, which prints the page; install it (apt-get install chromium) or write --html alone")
		}
	}
	t, err := jupyterTree(ctx)
	if err != nil {
		return nil, err
	}
	c.jupyter = t.dir
	return c, t.ensure(ctx, newProgress(out))
}

// Convert writes nb.
func (c *Converter) Convert(ctx context.Context, nb *kernel.Notebook) error {
	if c.page == "" && c.pdf == "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "convert-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(dir)
	if err := nb.Write(filepath.Join(dir, "page.ipynb")); err != nil {
		return err
	}
	env := []string{"PYTHONNOUSERSITE=1", "JUPYTER_CONFIG_DIR=" + filepath.Join(dir, "config"), "JUPYTER_PLATFORM_DIRS=1"}
	program := filepath.Join(c.jupyter, "bin", "python") // the script next to it may lie too deep for the system to start
	if _, err := command(ctx, dir, env, program, "-m", "nbconvert", "--to", "html", "page.ipynb"); err != nil {
		return errors.WithMessage(err, "nbconvert")
	}
	made := filepath.Join(dir, "page.html")
	if c.pdf != "" {
		address := url.URL{Scheme: "file", Path: filepath.ToSlash(made)}
		argv := []string{c.browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--user-data-dir=" + filepath.Join(dir, "profile"),
			"--print-to-pdf=page.pdf", address.String()}
		if os.Geteuid() == 0 {
			argv = append(argv[:len(argv)-1], "--no-sandbox", argv[len(argv)-1]) // it refuses root's
		}
		if _, err := command(ctx, dir, nil, argv...); err != nil {
			return errors.WithMessage(err, "printing the page")
		}
	}
	for from, to := range map[string]string{made: c.page, filepath.Join(dir, "page.pdf"): c.pdf} {
		if to == "" {
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return errors.WithStack(err)
		}
		if err := atomicfile.Write(to, text); err != nil {
			return err
		}
	}
	return nil
}
