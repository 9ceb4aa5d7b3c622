// Package forget says what stored runs show of forgetting by timestep: the loss of every task at every timestep along training,
// networks stitched from before and after forgetting, drift of representations and interference of gradients.
//
// # Conventions
//
// A task is a number from 0, or [AllOld] for the mean of the tasks that another followed. An axis is that of pkg/dynamics: "t" or
// "log-SNR". Figures that lack a measurement return an error that names the command that makes it.
package forget
