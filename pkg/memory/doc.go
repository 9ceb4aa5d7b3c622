// Package memory holds replay buffers: a fixed number of images kept from a stream too long to keep.
//
// # Conventions
//
// A [Buffer] owns the images, a [Policy] chooses which of them stay. Capacity is in images. Every image offered gets
// a number, 0, 1, 2 ..., in the order of the stream. Whatever is random in a policy is a function of the buffer's
// seed and that number alone, so a buffer restored from its bytes goes on as if it had never been written, and it
// does not matter in how many portions the stream arrives, except to [Herding] and [ByLoss], which look at each portion as a whole.
//
// Policies that give classes equal shares divide the capacity evenly over the classes offered so far. The remainder
// goes, one image each, to the classes that were offered first. A class with fewer images than its share keeps them
// all, and what it leaves is divided among the others by the same rule.
//
// What an image costs in an online stream, with a buffer of B images: [Reservoir] puts each into its place, whatever B is.
// [ClassBalanced] holds its images in the order of their keys, on which draws depend, so that one that is kept moves those after it,
// a pass over the buffer; one that is not, the rule once the stream is some times longer than the buffer, costs a comparison
// with the last of its class. [Herding] has to order a class anew with every image, since each moves the mean that all are chosen by:
// B times the class's share of comparisons, and features of all its images. [ByLoss] has to evaluate the network on the images of a
// class anew with every image, since each step changes the network.
//
// References:
//
//	[vitter]    Vitter. Random Sampling with a Reservoir. ACM TOMS 11(1), 1985, algorithm R
//	[icarl]     Rebuffi, Kolesnikov, Sperl, Lampert. iCaRL: Incremental Classifier and Representation Learning. arXiv:1611.07725
//	[hopfield]  A modern Hopfield view of continual learning, for diffusion models. arXiv:2605.27975
//	[bottom-k]  Cohen, Kaplan. Summarizing Data using Bottom-k Sketches. PODC 2007
package memory
