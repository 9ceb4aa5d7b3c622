// Package report turns stored runs into what a person reads: a table, sentences, figures, sample sheets and one
// HTML file. It reads [results.Run] values and the sample grids beside them, and measures nothing itself.
//
// # Conventions
//
// Runs with the same strategy label and different seeds form a [Method]; a number of a method is a [Stat], the mean
// over the seeds that measured it and the sample standard deviation (n-1) where there are at least two. A number
// that was not measured is NaN in Go and "–" on paper, never 0.
//
// Tasks count from 0 in Go and from 1 in everything a reader sees. Forgetting is positive where the model became
// worse, whichever way the metric improves: for FID it is the final FID minus the FID just after the task was
// learned, averaged over all tasks but the last (the negative of backward transfer, [gem]). Shares and accuracies
// are in [0, 1] in Go and in per cent on paper.
//
// Two numbers are told apart by one rule, [Difference]: Student's t on paired differences where seeds are shared, else Welch's
// t, p < 0.05; its name and p stand beside each verdict, and one seed decides nothing. A ± is a sample standard deviation and
// decides nothing either.
//
// Where many methods are ranked, a block is one seed and task. The [Interval] of a mean rank is that of a paired hierarchical
// bootstrap: seeds are drawn with replacement, of each seed its tasks, and all methods are compared on the same draw. It says
// how ranks might have fallen, and tells nothing apart. Compute is counted in rows put through a network ([Evaluations]).
//
// A [Figure] is drawn once and comes as SVG or as PNG. Its colours are those of [okabe], which people with the
// common colour deficiencies can tell apart; lines differ in dash and marker too. Colours of heat maps go from
// light, better, to dark, worse.
//
// References:
//
//	[gem]       Lopez-Paz, Ranzato. Gradient Episodic Memory for Continual Learning. arXiv:1706.08840
//	[okabe]     Okabe, Ito. Color Universal Design: how to make figures and presentations that are friendly to
//	            colorblind people. 2008
//	[kendall]   Kendall. The Treatment of Ties in Ranking Problems. Biometrika 33, 1945: τ-b
//	[efron]     Efron, Tibshirani. An Introduction to the Bootstrap. 1993
//	[cleveland] Cleveland, McGill. Graphical Perception. JASA 79, 1984: dots on a common scale are read best
//	[friedman]  Friedman. The Use of Ranks to Avoid the Assumption of Normality. JASA 32, 1937
//	[holm]      Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 6, 1979
//	[student]   Student. The Probable Error of a Mean. Biometrika 6, 1908; Welch. The Generalization of Student's Problem
//	            when Several Different Population Variances are Involved. Biometrika 34, 1947
//	[demsar]    Demšar. Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 7, 2006
package report
