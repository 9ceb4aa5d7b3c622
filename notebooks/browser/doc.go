// Package browser holds a test that uses the notebooks as a reader does: in JupyterLab, in Chromium. It is a module of its own, so
// that what drives the browser is no requirement of the program. From the checkout:
//
//	cd notebooks/browser && go test -v . -screenshots /tmp/screenshots
//
// It takes some minutes, and is skipped where no Chromium is installed.
package browser
