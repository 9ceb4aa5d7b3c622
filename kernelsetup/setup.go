package kernelsetup

import (
	"context"
	stderrors "errors"
	"io"
	"runtime"
	"sync"
	"time"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// SetupOptions says what [Setup] installs besides the kernel and the XLA CPU plugin.
type SetupOptions struct {
	Lab        bool      // JupyterLab
	Completion bool      // gopls, which takes longest to build
	CUDA       bool      // the CUDA plugin that suits the driver
	GPU        string    // a plugin for another GPU, by its name in [backend.GPUPlugins]; "" installs none
	Plugin     string    // file of an XLA CPU plugin to take, see [backend.GivePlugin], or [DownloadPlugin]; "" takes none
	Out        io.Writer // messages
}

// Setup installs everything o asks for that is not there. It can be interrupted at any
// moment and run again.
func Setup(ctx context.Context, o SetupOptions) error {
	start := time.Now()
	p := newProgress(o.Out)
	if err := setup(ctx, p, o); err != nil {
		return err
	}
	p.line("everything is installed (%.1f s)", time.Since(start).Seconds())
	return nil
}

// checkSystem returns an error where the Go kernel cannot run: it speaks to its cells through named pipes.
func checkSystem(system string) error {
	if system == "windows" {
		return errors.New("the Go kernel does not run on Windows: run `setup` and `lab` in WSL, or use the image of the folder docker; " +
			"`bench`, `run`, `sample` and `report` work here, in pure Go")
	}
	return nil
}

func setup(ctx context.Context, p *progress, o SetupOptions) error {
	if err := checkSystem(runtime.GOOS); err != nil {
		return err
	}
	if o.Plugin != "" {
		if err := takePlugin(ctx, p, o.Plugin); err != nil {
			return err
		}
	}
	// A machine that a plugin does not suit is refused before anything large is downloaded.
	var cuda, gpu backend.Plugin
	if o.GPU != "" {
		var err error
		if gpu, err = backend.GPUPlugin(o.GPU); err != nil {
			return err
		}
	}
	if o.CUDA {
		var err error
		if cuda, err = cudaPlugin(nvidiaDriver()); err != nil {
			return err
		}
	}
	// If one step fails, the others go on to their end: the next setup would have to repeat them.
	var group together
	group.Go(func() error { return repairPlugin(ctx, p, backend.CPU) })
	if o.Lab {
		group.Go(func() error {
			t, err := jupyterTree(ctx)
			if err != nil {
				return err
			}
			return t.ensure(ctx, p)
		})
	}
	group.Go(func() error {
		if _, err := ensureKernel(ctx, p); err != nil || !o.Completion {
			return err
		}
		goBin, goVersion, err := findGo(ctx)
		if err != nil {
			return err
		}
		if _, err = gopls.ensure(ctx, p, goBin, goVersion); err != nil {
			return err
		}
		_, err = ensureKernel(ctx, p) // again, since the kernel's file names gopls only if it is there
		return err
	})
	if o.CUDA {
		group.Go(func() error { return repairPlugin(ctx, p, cuda) })
	}
	if o.GPU != "" {
		group.Go(func() error {
			if err := repairPlugin(ctx, p, gpu); err != nil {
				return err
			}
			p.line("the %s is %s and needs %s; GOMLX_BACKEND=xla:%s computes on it", gpu.ShortTitle(), backend.NotTried, gpu.Needs, o.GPU)
			return nil
		})
	}
	return group.Wait()
}

// together runs functions at once, each to its end.
type together struct {
	wait sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

// Go runs f at the same time as the others.
func (t *together) Go(f func() error) {
	t.wait.Go(func() {
		if err := f(); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.errs = append(t.errs, err)
		}
	})
}

// Wait waits for all functions and returns their errors as one error of several lines. If all of them were interrupted, it
// returns that once.
func (t *together) Wait() error {
	t.wait.Wait()
	var failed []error
	for _, err := range t.errs {
		if !errors.Is(err, context.Canceled) {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 && len(t.errs) > 0 {
		return t.errs[0]
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return stderrors.Join(failed...)
}
