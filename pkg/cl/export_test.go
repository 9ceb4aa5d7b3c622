package cl

import (
	"iter"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// StepBatch is the batch of the step at hand, as the network would get it.
func StepBatch(l *Loop) (*Step, error) { return l.batch() }

// RowsOf are the rows that importances are found from.
func RowsOf(s Setup, task int, train *datasets.Images, count int) (iter.Seq[diffusion.Batch], uint64) {
	return s.rows(task, train, count)
}
