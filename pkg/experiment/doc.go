// Package experiment runs what a configuration describes: it builds benchmark, network and strategy, trains one task
// after another, measures after each, and keeps everything in a run folder from which an interrupted run goes on
// bit for bit.
//
// # Run folder
//
//	config.yaml              every setting, resolved
//	log.txt                  what happened, with times
//	checkpoints/STEP/        network, strategy, position, measurements so far; complete or absent
//	samples/after_task_K.png a row a class, in task order
//	metrics.csv, losses.csv  the measurements as tables, rewritten whole after each of them
//	metrics.json             the same measurements so far, and how they were made, in their stored form
//	dynamics.json            where a probe is asked for: the loss of every task at many timesteps, along training
//	result.json              the stored form of the finished run (pkg/results); written last
//
// Configurations are YAML; a key that does not exist is an error. Paths are relative to the working directory.
// All functions return errors.
package experiment
