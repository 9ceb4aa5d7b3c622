// Package kernelsetup installs what the notebooks and XLA need and checks it: JupyterLab,
// the GoNB kernel, its Go tools and the PJRT plugins.
//
// # Conventions
//
// Everything is private and pinned. Large things live in backend.CacheDir and are shared
// by all checkouts:
//
//	plugins/PACKAGE-VERSION-HASH/   an XLA plugin, unpacked by pip and checked against its SHA-256
//	tools/NAME-VERSION-HASH/        a Go program: gonb, goimports, gopls
//	jupyter-HASH/                   a Python environment with JupyterLab, every package pinned by hash
//
// What belongs to one checkout lives in its folder .jupyter, which git ignores: the kernel
// spec, written again on every start because it names absolute paths, what kernels log, and Jupyter's settings.
//
// HASH is a hash of everything that the content depends on. A folder is finished when it holds its
// stamp, a file that is written last. A folder without a stamp was left by an interrupted installation
// and is replaced. A lock file next to each folder makes sure that only one process fills it.
//
// Functions take a context and stop their child processes when it ends. Messages go to an
// io.Writer: a line when a step starts and one when it ends with the time it took; nothing
// for what is already there.
package kernelsetup
