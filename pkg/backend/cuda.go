package backend

// CUDA lists the XLA plugins for NVIDIA GPUs, the preferred one first.
var CUDA = []Plugin{}
