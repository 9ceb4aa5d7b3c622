// Package words writes numbers, lists and counts as readers see them, in sentences and in the cells of tables: one place for a
// minus sign, a dash for what was not measured, "1 seed" and "2 seeds".
//
// # Conventions
//
// Tasks count from 0 in Go and from 1 in everything a reader sees. A number that was not measured is NaN in Go and [Missing] on
// paper, never 0.
package words
