// Package experiment runs what a configuration describes: it builds benchmark, network and strategy, trains one task
// after another, measures after each, and keeps everything in a run folder from which an interrupted run goes on
// bit for bit.
//
// # Run folder
//
//	config.yaml              every setting, resolved
//	log.txt                  what happened, with times
//	checkpoints/STEP/        network, strategy, position, measurements so far, and SHA256SUMS of it all; complete or absent
//	checkpoints/damaged-STEP one that is not as it was written: set aside, the run went on from the one before it
//	snapshots/               where an autopsy is asked for: the network after each task
//	samples/after_task_K.png a row a class, in task order
//	metrics.csv, losses.csv  the measurements as tables, rewritten whole after each of them
//	metrics.json             the same measurements so far, how they were made and on which images, in their stored form
//	dynamics.json            where a probe is asked for: the loss of every task at many timesteps, along training
//	damaged-dynamics.json    one that is not as it was measured: set aside, the run went on with another from there
//	result.json              the stored form of the finished run (pkg/results); written last
//
// One process at a time writes in a run folder, which it locks; only that one clears away what a killed process left. Any
// number may read ([OpenTrained]): they change nothing, take the newest checkpoint that is whole, and look again where it
// was removed while they read it. A run whose folder is moved or removed ends with an error and writes nothing more.
//
// Where the device has a memory of its own, checkpoints within a task are copied on it, and carried off it and written while training goes
// on, one at a time. All others are there before anything follows them.
//
// Equal configurations, images, programs and machines of one kind give equal results to the last bit, interrupted or not.
// The number of cores that a run is kept to (cores) and the backend are part of that: a run goes on with as many cores as
// it began with where there are so many, says where anything else has changed, and its result lists its stretches.
//
// A finished run is extended ([Extension]) by a new run in a folder of its own, which begins at the end of the other's last task,
// before that was measured, and so is, bit for bit, the run that knew of all tasks from the start.
//
// What is kept beside the checkpoints for an autopsy or a probe may be lost: the run is finished without, and says so as soon as it goes on.
//
// A checkpoint holds the settings that it was made with. Edited since, config.yaml is refused by all who open the checkpoint,
// except for name, checkpoint_every, keep_networks, cores and backend.devices: no image and no weight depends on the first three, and the result
// lists the others by stretch.
//
// Configurations are YAML; a key that does not exist is an error. Paths are relative to the working directory.
// All functions return errors.
package experiment
