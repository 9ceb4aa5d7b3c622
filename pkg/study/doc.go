// Package study compares stored runs: which numbers they give, what tells two of them apart, and how sure an order is. Each
// comparison comes with the table and the sentences that say what it found. The package reads [results.Run] values, measures
// nothing and draws nothing.
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
// One rule tells two numbers apart, [Difference]: Student's t on paired differences where seeds are shared, else Welch's t,
// p < 0.05. Its name and p stand next to each verdict. One seed decides nothing. A ± is a sample standard deviation and decides
// nothing either.
//
// Where many methods are ranked, a block is one seed and task. The [Interval] of a mean rank is that of a paired hierarchical
// bootstrap: seeds are drawn with replacement, of each seed its tasks, and all methods are compared on the same draw. It says
// how ranks might have come out, and tells nothing apart. Compute is counted in rows put through a network ([Evaluations]).
//
// References:
//
//	[gem]       Lopez-Paz, Ranzato. Gradient Episodic Memory for Continual Learning. arXiv:1706.08840
//	[kendall]   Kendall. The Treatment of Ties in Ranking Problems. Biometrika 33, 1945: τ-b
//	[efron]     Efron, Tibshirani. An Introduction to the Bootstrap. 1993
//	[friedman]  Friedman. The Use of Ranks to Avoid the Assumption of Normality. JASA 32, 1937
//	[holm]      Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 6, 1979
//	[student]   Student. The Probable Error of a Mean. Biometrika 6, 1908; Welch. The Generalization of Student's Problem
//	            when Several Different Population Variances are Involved. Biometrika 34, 1947
//	[demsar]    Demšar. Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 7, 2006
package study
