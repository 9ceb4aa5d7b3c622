// Package resultstest makes up stored runs for tests of what reads them. Their numbers are smooth functions of task and seed, so
// that what is made from them does not depend on a machine's random numbers.
package resultstest
