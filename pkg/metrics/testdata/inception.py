"""Makes inception-tiny.safetensors and inception.json: the FID Inception network with a 32nd of the
usual channels and random weights, and its features by PyTorch.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch==1.13.1 "numpy<2" safetensors
    /tmp/venv/bin/python testdata/inception.py

Modules and names follow torchvision's Inception3, with the changes of pytorch-fid: averages leave
out the padding, and the last block pools by maximum.
"""
import json

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

DIVISOR = 32


def c(channels):
    return max(1, channels // DIVISOR)


class Conv(nn.Module):
    def __init__(self, i, o, **kw):
        super().__init__()
        self.conv = nn.Conv2d(i, o, bias=False, **kw)
        self.bn = nn.BatchNorm2d(o, eps=0.001)
        self.out = o

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def mean_pool(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class A(nn.Module):
    def __init__(self, i, pool):
        super().__init__()
        self.branch1x1 = Conv(i, c(64), kernel_size=1)
        self.branch5x5_1 = Conv(i, c(48), kernel_size=1)
        self.branch5x5_2 = Conv(c(48), c(64), kernel_size=5, padding=2)
        self.branch3x3dbl_1 = Conv(i, c(64), kernel_size=1)
        self.branch3x3dbl_2 = Conv(c(64), c(96), kernel_size=3, padding=1)
        self.branch3x3dbl_3 = Conv(c(96), c(96), kernel_size=3, padding=1)
        self.branch_pool = Conv(i, c(pool), kernel_size=1)
        self.out = 2 * c(64) + c(96) + c(pool)

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
                          self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                          self.branch_pool(mean_pool(x))], 1)


class B(nn.Module):
    def __init__(self, i):
        super().__init__()
        self.branch3x3 = Conv(i, c(384), kernel_size=3, stride=2)
        self.branch3x3dbl_1 = Conv(i, c(64), kernel_size=1)
        self.branch3x3dbl_2 = Conv(c(64), c(96), kernel_size=3, padding=1)
        self.branch3x3dbl_3 = Conv(c(96), c(96), kernel_size=3, stride=2)
        self.out = c(384) + c(96) + i

    def forward(self, x):
        return torch.cat([self.branch3x3(x), self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                          F.max_pool2d(x, 3, stride=2)], 1)


class C(nn.Module):
    def __init__(self, i, c7):
        super().__init__()
        k = c(c7)
        wide, tall = dict(kernel_size=(1, 7), padding=(0, 3)), dict(kernel_size=(7, 1), padding=(3, 0))
        self.branch1x1 = Conv(i, c(192), kernel_size=1)
        self.branch7x7_1 = Conv(i, k, kernel_size=1)
        self.branch7x7_2 = Conv(k, k, **wide)
        self.branch7x7_3 = Conv(k, c(192), **tall)
        self.branch7x7dbl_1 = Conv(i, k, kernel_size=1)
        self.branch7x7dbl_2 = Conv(k, k, **tall)
        self.branch7x7dbl_3 = Conv(k, k, **wide)
        self.branch7x7dbl_4 = Conv(k, k, **tall)
        self.branch7x7dbl_5 = Conv(k, c(192), **wide)
        self.branch_pool = Conv(i, c(192), kernel_size=1)
        self.out = 4 * c(192)

    def forward(self, x):
        y = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
                          self.branch7x7dbl_5(self.branch7x7dbl_4(y)), self.branch_pool(mean_pool(x))], 1)


class D(nn.Module):
    def __init__(self, i):
        super().__init__()
        self.branch3x3_1 = Conv(i, c(192), kernel_size=1)
        self.branch3x3_2 = Conv(c(192), c(320), kernel_size=3, stride=2)
        self.branch7x7x3_1 = Conv(i, c(192), kernel_size=1)
        self.branch7x7x3_2 = Conv(c(192), c(192), kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Conv(c(192), c(192), kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Conv(c(192), c(192), kernel_size=3, stride=2)
        self.out = c(320) + c(192) + i

    def forward(self, x):
        y = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), y, F.max_pool2d(x, 3, stride=2)], 1)


class E(nn.Module):
    def __init__(self, i, pool):
        super().__init__()
        wide, tall = dict(kernel_size=(1, 3), padding=(0, 1)), dict(kernel_size=(3, 1), padding=(1, 0))
        self.pool = pool
        self.branch1x1 = Conv(i, c(320), kernel_size=1)
        self.branch3x3_1 = Conv(i, c(384), kernel_size=1)
        self.branch3x3_2a = Conv(c(384), c(384), **wide)
        self.branch3x3_2b = Conv(c(384), c(384), **tall)
        self.branch3x3dbl_1 = Conv(i, c(448), kernel_size=1)
        self.branch3x3dbl_2 = Conv(c(448), c(384), kernel_size=3, padding=1)
        self.branch3x3dbl_3a = Conv(c(384), c(384), **wide)
        self.branch3x3dbl_3b = Conv(c(384), c(384), **tall)
        self.branch_pool = Conv(i, c(192), kernel_size=1)
        self.out = c(320) + 4 * c(384) + c(192)

    def forward(self, x):
        y, z = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(y), self.branch3x3_2b(y), self.branch3x3dbl_3a(z),
                          self.branch3x3dbl_3b(z), self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, c(32), kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = Conv(c(32), c(32), kernel_size=3)
        self.Conv2d_2b_3x3 = Conv(c(32), c(64), kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = Conv(c(64), c(80), kernel_size=1)
        self.Conv2d_4a_3x3 = Conv(c(80), c(192), kernel_size=3)
        width = c(192)
        for name, make in [("5b", lambda i: A(i, 32)), ("5c", lambda i: A(i, 64)), ("5d", lambda i: A(i, 64)), ("6a", B),
                           ("6b", lambda i: C(i, 128)), ("6c", lambda i: C(i, 160)), ("6d", lambda i: C(i, 160)),
                           ("6e", lambda i: C(i, 192)), ("7a", D), ("7b", lambda i: E(i, mean_pool)),
                           ("7c", lambda i: E(i, lambda x: F.max_pool2d(x, 3, stride=1, padding=1)))]:
            block = make(width)
            setattr(self, "Mixed_" + name, block)
            width = block.out
        self.fc = nn.Linear(width, 8)

    def forward(self, x):
        x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name in "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split():
            x = getattr(self, "Mixed_" + name)(x)
        return x.mean((2, 3))


def main():
    torch.manual_seed(1)
    net = Inception().eval()
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, Conv):
                m.conv.weight.normal_(0, 1)
                m.bn.weight.uniform_(0.6, 1.4)
                m.bn.bias.uniform_(-0.2, 0.6)
                m.bn.momentum = None  # the plain average over what train mode sees
        net.train()  # batch norms that fit the network keep the few channels alive
        for _ in range(4):
            net(F.interpolate(torch.rand(4, 3, 12, 12) * 2 - 1, size=(64, 64), mode="bilinear"))
        net.eval()
        size = 32
        i = torch.arange(2 * size * size * 3, dtype=torch.int64)
        pixels = ((i * i * 31 + i * 17) // 64 % 256).reshape(2, size, size, 3)  # the test makes the same
        x = pixels.permute(0, 3, 1, 2).double() / 127.5 - 1
        features = net.double()(x)
    save_file({k: v.float() if v.is_floating_point() else v for k, v in net.state_dict().items()},
              "testdata/inception-tiny.safetensors")
    with open("testdata/inception.json", "w") as f:
        json.dump({"torch": torch.__version__, "size": size, "features": features.tolist()}, f)
        f.write("\n")
    print(features.shape, features)


main()
