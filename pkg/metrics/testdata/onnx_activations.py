# Writes a small network with MobileNet's HardSigmoid, a LeakyReLU and pooled maps [N, D, 1, 1] as both of PyTorch's exporters do, and its
# features of the images of the test.
import sys

import torch

from onnx_torch import write

torch.manual_seed(0)
n = torch.nn
net = n.Sequential(n.Conv2d(3, 6, 3, padding=1), n.Hardsigmoid(), n.Conv2d(6, 5, 3, padding=1), n.LeakyReLU(0.2), n.Conv2d(5, 5, 1), n.LeakyReLU(), n.AdaptiveAvgPool2d(1)).eval()
with torch.no_grad():
    for p in net.parameters(): p.mul_(4)
write(net, "activations", sys.argv[1])
