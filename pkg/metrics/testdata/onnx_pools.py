# Writes small networks with pools as both of PyTorch's exporters do, and their features of the images of the test.
import sys

import torch

from onnx_torch import write

class Net(torch.nn.Module):
    """A stem as ResNet's, a pool as VGG's, one as GoogLeNet's with ceil_mode, and an average that counts padding as Inception's."""
    def __init__(self):
        super().__init__()
        n = torch.nn
        self.stem = n.Sequential(n.Conv2d(3, 6, 3, padding=1, bias=False), n.BatchNorm2d(6, momentum=0.01), n.ReLU(), n.MaxPool2d(3, 2, 1),
            n.Conv2d(6, 6, 3, padding=1), n.ReLU(), n.MaxPool2d(2, 2))
        self.left, self.right = n.AvgPool2d(3, 1, 1), n.Sequential(n.MaxPool2d(3, 1, 1), n.Conv2d(6, 6, 1))
        self.last = n.Sequential(n.MaxPool2d(3, 2, ceil_mode=True), n.AvgPool2d(2, 1, ceil_mode=True), n.AdaptiveAvgPool2d(1), n.Flatten())
    def forward(self, x):
        x = self.stem(x)
        return self.last(torch.cat([self.left(x), self.right(x)], 1))
torch.manual_seed(0)
net = Net().eval()
with torch.no_grad():
    for p in net.parameters(): p.mul_(2)
    net.stem[1].running_mean.normal_(); net.stem[1].running_var.uniform_(0.5, 2)
write(net, "pools", sys.argv[1])
