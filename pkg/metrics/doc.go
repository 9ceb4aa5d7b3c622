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
// FID, KID, precision, recall, density, coverage and FLD compare features of N generated images with
// those of a reference set; they depend on N, on the reference split and on the extractor, so
// [Protocol] stores these with the numbers, and two numbers with different protocols must not be
// set side by side. The feature extractor for grey images, [Classifier], was trained on the full
// official training split of the dataset and judges test images and generated images only.
//
// # What counts how much
//
// Tasks and classes count by their share of the reference images: the test images, or validation images where those are
// compared with. [TaskWeights] has the shares; every mean over tasks ([WeightedMean], [Matrix]) and every union takes
// them. A sample counts by the share that its class in its task has of the reference images, divided by the number of
// samples drawn of the class there, so that as many samples of a task of one class as of a task of three, classes of
// unequal size, and a number of samples that the classes do not divide leave every number as it would be had samples
// been drawn in proportion. FID takes the weighted mean and covariance, KID the weighted estimate, precision, density,
// class accuracy, label histogram, copies, clipped pixels and identical samples the weighted share; recall and coverage
// are shares of reference images and take none. Where all count alike, nothing differs from plain means in any digit.
// An unconditional model is asked for no class, so its samples count alike.
//
// # Copies
//
// Two criteria are measured. By the ratio a sample is a copy if its nearest image of a set is closer than a third of the
// second nearest, [yoon23], [gu23]: the smaller the set, the farther apart its images, and the more passes for a copy.
// By the fixed yardstick it is one if it is at most as far from its nearest image as the hundredth part of real held-out
// images is from the nearest of all training images, in pixels and in the classifier's features: the same distance for
// every buffer, so that shares compare; the share of real images that pass it stands next to them. Samples are compared with
// what is stored and with the training images of the tasks so far; where training mirrors images (the setting
// benchmark.prep.flip), with their mirror images too.
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
//	[vendi]     Friedman, Dieng. The Vendi Score: A Diversity Evaluation Metric for Machine Learning.
//	            arXiv:2210.02410
//	[fld]       Jiralerspong, Bose, Gemp, Qin, Bachrach, Gidel. Feature Likelihood Divergence: Evaluating
//	            the Generalization of Generative Models Using Samples. arXiv:2302.04440
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
