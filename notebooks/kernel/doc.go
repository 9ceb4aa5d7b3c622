// Package kernel runs notebooks cell by cell in a Jupyter kernel, without Jupyter: it
// starts the kernel process, speaks the messaging protocol [jupyter] to it over ZeroMQ,
// and says which cell failed and why.
//
// # Conventions
//
// A notebook is in nbformat 4 [nbformat]. Cells are counted from 1, Markdown cells included,
// as a reader counts them. A cell fails if it ends in an error, and for GoNB also if it
// writes "exit status N" or "unknown or not implemented" to its standard error, which is all
// that a failing shell line or an unknown %magic leaves; see [Notebook.Run].
//
// Two tags of a cell change that: "raises-exception" for a cell that must fail, and
// "skip-test" for one that waits for a reader, such as a slider.
//
// What a cell displays just before its program ends GoNB may lose: it closes the pipe to
// the program without emptying it. A cell that displays anything ends with gonbui.Sync(),
// which waits until GoNB has read everything.
//
// References:
//
//	[papermill] Parameterize. https://papermill.readthedocs.io/en/latest/usage-parameterize.html
//	[jupyter]   Messaging in Jupyter, protocol 5.3. https://jupyter-client.readthedocs.io/en/stable/messaging.html
//	[nbformat]  The Notebook file format. https://nbformat.readthedocs.io/en/latest/format_description.html
package kernel
