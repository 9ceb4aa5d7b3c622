// Package cl holds continual-learning strategies for diffusion models, one file a method, and the loop that trains a
// network on one task after another.
//
// # Conventions
//
// A training step sees a fixed number of rows: first FreshRows images of the task at hand, then ReplayRows rows that
// belong to the strategy. Each row has a weight and the loss is Σ weight·row loss, so a strategy changes weights and
// contents, never shapes: the step compiles once. Rows a strategy leaves alone repeat the fresh ones with weight 0.
// All strategies therefore get the same fresh rows, at the same timesteps, and the same number of steps. Replay rows are a
// strategy's own affair: one that replays nothing has none, so that its steps cost less, and what each has is
// reported as its cost. Timesteps are drawn from 0 .. T-1 for every row, uniformly unless [LoopConfig].TimestepSampler
// says otherwise; a strategy may choose those of its own rows.
//
// What a method needs of the step besides the denoising loss (a teacher, penalties, projection) it declares, and
// the network is extended by it once, before the step compiles. What it keeps there is saved with the network; what it
// keeps itself is its State. Names joined by "+" are several methods at once ([Composite]).
//
// Where the device has a memory of its own ([diffusion.Network.Apart]), it keeps the training images of all tasks and puts together
// there the rows that are some of them, a buffer's too; and steps that a strategy foresees are done in rows ([Loop.Steps]). Neither
// changes a bit of what is trained, nor anything that a strategy sees.
//
// A stream may be online ([datasets.Benchmark].Online): every image comes once, in batches of FreshRows, and nothing tells where
// one task ends. A strategy is then given what each step was trained on (Arrive) instead of the begin and end of tasks, and one that
// needs these is refused before it begins ([BordersMissing]). What a strategy may know of borders, classes and the task at sampling
// its [Info] says, in one line by [Info.Knows]; the suite in cltest holds it to that.
//
// Sampling gets labels and no more, except for a method that says otherwise of itself ([Info].TaskAtSampling): that gets
// the task too, and may generate each with other weights. Where every class is in one task and the network is
// class-conditional, the label implies the task.
//
// A strategy of this package is a file and a line in the registry. One of another package or of a notebook is known once it
// is given to [Register], and can use what these do: [Replay] and [Base] to embed, [LabelOf], and the suite in cltest.
// Other modules find this one by a workspace ("go work init . ../palimpsest") or a replace directive.
//
// Tasks and steps count from 0. Whatever is random is a function of the seed, the task and the step alone, so a
// resumed run is the uninterrupted one, and one that goes on with tasks that came later is one run of all of them. A strategy sees images of other tasks only through what it stored itself,
// unless its [Info] declares another stream. The package knows nothing of files and nothing of metrics.
//
// References:
//
//	[zajac23]  Zajac et al. Exploring Continual Learning of Diffusion Models. arXiv:2303.15342
//	[er]       Chaudhry et al. On Tiny Episodic Memories in Continual Learning. arXiv:1902.10486
//	[iddpm]    Nichol, Dhariwal. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672
//	[gendistill] Masip et al. Continual Learning of Diffusion Models with Generative Distillation. arXiv:2311.14028
//	[ewc]      Kirkpatrick et al. Overcoming catastrophic forgetting in neural networks. arXiv:1612.00796
//	[progress] Schwarz et al. Progress & Compress: A scalable framework for continual learning. arXiv:1805.06370
//	[rank1]    Rank-1 Fisher EWC for continual diffusion models. arXiv:2509.23593
//	[si]       Zenke, Poole, Ganguli. Continual Learning Through Synaptic Intelligence. arXiv:1703.04200
//	[mas]      Aljundi et al. Memory Aware Synapses: Learning what (not) to forget. arXiv:1711.09601
//	[lwf]      Li, Hoiem. Learning without Forgetting. arXiv:1606.09282
//	[gr]       Shin et al. Continual Learning with Deep Generative Replay. arXiv:1705.08690
//	[agem]     Chaudhry et al. Efficient Lifelong Learning with A-GEM. arXiv:1812.00420
//	[der]      Buzzega et al. Dark Experience for General Continual Learning. arXiv:2004.07211
//	[clog]     Zhang et al. CLoG: Benchmarking Continual Learning of Image Generation Models. arXiv:2406.04584
//	[packnet]  Mallya, Lazebnik. PackNet: Adding Multiple Tasks to a Single Network by Iterative Pruning. arXiv:1711.05769
//	[mir]      Aljundi et al. Online Continual Learning with Maximally Interfered Retrieval. arXiv:1908.04742
//	[gdumb]    Prabhu, Torr, Dokania. GDumb: A Simple Approach that Questions Our Progress in Continual Learning. ECCV 2020
//	[lora]     Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. arXiv:2106.09685
//	[magd]     Replay on intermediate noisy images for continual learning of diffusion models. OpenReview PvvQlhBbgu
//	[ccd]      Liu et al. CCD: Continual Consistency Diffusion for Lifelong Generative Modeling. arXiv:2505.11936
//	[scenarios] van de Ven, Tolias. Three scenarios for continual learning. arXiv:1904.07734
//	[avalanche] Lomonaco et al. Avalanche: an End-to-End Library for Continual Learning. arXiv:2104.00405
package cl
