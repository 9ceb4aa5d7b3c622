// Package figure draws: what a figure is made of (panels, curves, legends, colours), and the figures that compare the methods of
// a study.
//
// # Conventions
//
// A [Figure] is described once and comes as SVG or as PNG. Its colours are those of [okabe], which people with the
// common colour deficiencies can tell apart; lines differ in dash and marker too. A method looks the same in all figures made
// from the same methods. Colours of heat maps go from light, better, to dark, worse. A band or a bar is ± one sample standard
// deviation over seeds.
//
// References:
//
//	[okabe]     Okabe, Ito. Color Universal Design: how to make figures and presentations that are friendly to
//	            colorblind people. 2008
//	[cleveland] Cleveland, McGill. Graphical Perception. JASA 79, 1984: dots on a common scale are read best
//	[demsar]    Demšar. Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 7, 2006
package figure
