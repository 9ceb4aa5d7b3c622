// Package metrics measures generated images: how close they are to real ones, how much of the
// real variety they cover, which classes they show, whether they are copies, and what a model
// that learns one task after another forgets.
//
// # Conventions
//
// Features are float64 matrices [N, D], one image a row, made by an [Extractor]. Images are
// float32 in [-1, 1], flat and in [N, H, W, C] order. Distances between images are Euclidean
// over all H·W·C values. Classes are counted from 0 and keep the dataset's own numbering.
// Tasks are counted from 0; papers count from 1.
//
// A number that was not measured is NaN in Go, nil where a pointer is used, and null in JSON;
// it is never 0. Functions return errors; only functions on *graph.Node panic, as GoMLX does.
//
// Random choices (subsets of KID, initial weights, order of training images) come from a seed
// given by the caller, through the PCG generator of math/rand/v2, and so are the same on every
// machine.
//
// # What is compared with what
//
// FID, KID, precision, recall, density and coverage compare features of N generated images with
// those of a reference set; they depend on N, on the reference split and on the extractor, so
// [Protocol] stores these with the numbers, and two numbers with different protocols must not be
// set side by side. The feature extractor for grey images, [Classifier], was trained on the full
// official training split of the dataset and judges test images and generated images only.
//
// References:
//
//	[fid]       Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter. GANs Trained by a Two Time-Scale
//	            Update Rule Converge to a Local Nash Equilibrium. arXiv:1706.08500
//	[kid]       Bińkowski, Sutherland, Arbel, Gretton. Demystifying MMD GANs. arXiv:1801.01401
//	[mmd]       Gretton, Borgwardt, Rasch, Schölkopf, Smola. A Kernel Two-Sample Test. JMLR 13, 2012
//	[pr]        Kynkäänniemi, Karras, Laine, Lehtinen, Aila. Improved Precision and Recall Metric for
//	            Assessing Generative Models. arXiv:1904.06991
//	[prdc]      Naeem, Oh, Uh, Choi, Yoo. Reliable Fidelity and Diversity Metrics for Generative
//	            Models. arXiv:2002.09797
//	[gd]        Masip, Rodríguez, Tuytelaars, van de Ven. Continual Learning of Diffusion Models with
//	            Generative Distillation. arXiv:2311.14028
//	[yoon23]    Yoon, Choi, Kwon, Ryu. Diffusion Probabilistic Models Generalize when They Fail to
//	            Memorize. ICML 2023 workshop on Structured Probabilistic Inference & Generative Modeling
//	[gu23]      Gu, Du, Pang, Li, Lin, Wang. On Memorization in Diffusion Models. arXiv:2310.02664
//	[gem]       Lopez-Paz, Ranzato. Gradient Episodic Memory for Continual Learning. arXiv:1706.08840
//	[rwalk]     Chaudhry, Dokania, Ajanthan, Torr. Riemannian Walk for Incremental Learning.
//	            arXiv:1801.10112
//	[inception] Szegedy, Vanhoucke, Ioffe, Shlens, Wojna. Rethinking the Inception Architecture for
//	            Computer Vision. arXiv:1512.00567
package metrics
