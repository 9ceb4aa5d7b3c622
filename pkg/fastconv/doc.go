// Package fastconv computes 3×3 convolutions for XLA on the processor, in a third of XLA's time, and GroupNorm with SiLU.
//
// # How it gets there
//
// A plugin is a table of functions ([pjrt]). [Load] registers this package's kernels with a plugin as custom calls, copies
// its table and puts a function of its own in the place of the one that compiles a program; package backend hands the copy
// to go-xla under the plugin's path, by go-xla's public RegisterPreloadedPlugin. That function replaces the convolutions it
// knows in the program's text, and then calls the plugin's function, or that of package executables, which lies between the two. So
// no code that builds graphs needs to know of it: GoMLX and go-xla keep their own types throughout, gradients included, and XLA
// computes each convolution that is not known here.
//
// StableHLO has no operation for GroupNorm or SiLU. [NormSiLU] marks where they are in a graph, and [ConvSum] marks what is
// added to a convolution: its bias, an image's embedding, a residual connection. [ResidualBlock] marks a residual block as a whole.
// Where nothing reads a mark, it changes nothing.
//
// Two things that it needs may change without notice: the text in which go-xla writes a convolution (a text that reads differently
// is left as it is) and the layout of XLA's foreign-function interface (plugin.c; the plugin itself refuses handlers of another
// version). Package backend loads it for the one plugin it pins. A test fails when either changes.
//
// # What it computes
//
// Float32 images [batch, height, width, channels], stride 1, a border of one zero, sides from 4 pixels and 8 to 512
// channels, forward and both gradients, by Winograd's F(4×4, 3×3) ([winograd], winograd.h); fewer input channels forward
// alone, by the plain sum (few.h). Two more are summed plainly, in XLA's own order (plain.h): 16 or 32 channels to as many with
// stride 2, and 16 to one. Where every pixel of an image is repeated to 2×2 before, a convolution takes less: some of what Winograd's
// products are made of is zero. Relative errors are below 2e-5
// (1e-6 is usual); float32's own rounding in a plain sum gives 1e-7. A NaN or an infinity spreads over its tile of
// 4×4 outputs and the neighbouring tiles. Results are the same, bit by bit, whatever the number of threads and the
// instruction set. The threads are XLA's own, asked for through its interface, so no other thread waits in a loop; they are no more than
// there are cores to run on.
//
// GroupNorm and SiLU, and their gradients, are computed an image at a time, the gradients with the statistics of the forward pass.
// A residual block of which no gradient is taken is computed a few images at a time, so that what is between its parts stays in the cache;
// its skip connection and the 1×1 product with that too, the latter in XLA's own order.
//
// Channels of skip connections are joined once (XLA would join them for every operation that reads them in another shape).
//
// Random words ([philox], as XLA's generator makes them) are the same, bit by bit.
//
// [Env] set to "off" leaves all of it to XLA.
//
// References:
//
//	[winograd]  Lavin, Gray. Fast Algorithms for Convolutional Neural Networks. arXiv:1509.09308
//	[philox]    Salmon, Moraes, Dror, Shaw. Parallel Random Numbers: As Easy as 1, 2, 3. SC 2011
//	[pjrt]      OpenXLA. PJRT: Uniform Device API. https://openxla.org/xla/pjrt
package fastconv

// Env is the environment variable that switches the package off.
const Env = "PALIMPSEST_FASTCONV"
