// Package report composes what a person reads of stored runs: the table, the verdict in sentences, sample sheets, one HTML page
// and parts of Markdown files. It measures nothing and tests nothing itself: numbers are from pkg/study,
// drawings from pkg/figure, findings on timesteps and on bits from the packages forget and bits within.
package report
