"""DiT in PyTorch, written from arXiv:2212.09748 and its authors' models.py, with weights that are a function of their names.

    python3 reference.py > reference.json      (needs torch)
"""
import json, math, zlib
import torch
import torch.nn.functional as F


class Net:
    def __init__(self, depth, hidden, heads, patch, channels, out, classes):
        self.__dict__.update(locals())
        self.count = {}

    def weight(self, name, *shape):
        n = math.prod(shape)
        self.count[name] = n
        phase = float(zlib.crc32(name.encode()) % 1000)
        values = [0.1 * math.sin(0.37 * i + phase) for i in range(n)]
        return torch.tensor(values, dtype=torch.float64).float().reshape(shape)

    def dense(self, name, x, out):
        w = self.weight(name + "/weights", x.shape[-1], out)
        return F.linear(x, w.T, self.weight(name + "/biases", out))

    def norm(self, x):
        return F.layer_norm(x, x.shape[-1:], eps=1e-6)

    def chunks(self, name, cond, n):
        return self.dense(name, F.silu(cond), n * self.hidden).chunk(n, dim=1)

    def positions(self, h, w):
        # get_2d_sincos_pos_embed: meshgrid of columns and rows, "here w goes first".
        def one(at, dim):
            omega = 1 / 10000 ** (torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
            angle = torch.outer(at.reshape(-1).double(), omega)
            return torch.cat([angle.sin(), angle.cos()], 1)
        columns, rows = torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy")
        return torch.cat([one(columns, self.hidden // 2), one(rows, self.hidden // 2)], 1).float()

    def block(self, name, x, cond):
        shift0, scale0, gate0, shift1, scale1, gate1 = self.chunks(name + "/modulation", cond, 6)
        mod = lambda x, shift, scale: x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)
        b, n, d = x.shape
        qkv = self.dense(name + "/attend", mod(self.norm(x), shift0, scale0), 3 * d)
        q, k, v = qkv.reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        x = x + gate0.unsqueeze(1) * self.dense(name + "/project", h, d)
        h = self.dense(name + "/wide", mod(self.norm(x), shift1, scale1), 4 * d)
        return x + gate1.unsqueeze(1) * self.dense(name + "/narrow", F.gelu(h, approximate="tanh"), d)

    def __call__(self, x, t, y):  # x [B, C, H, W]
        p, (h, w) = self.patch, [s // self.patch for s in x.shape[2:]]
        # PatchEmbed's convolution: its kernel is ours as [patch row, patch column, channel, hidden].
        kernel = self.weight("in/weights", p * p * self.channels, self.hidden).reshape(p, p, self.channels, self.hidden)
        x = F.conv2d(x, kernel.permute(3, 2, 0, 1), self.weight("in/biases", self.hidden), stride=p)
        x = x.flatten(2).transpose(1, 2) + self.positions(h, w)
        freqs = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float64) / 128).float()
        angle = t[:, None].float() * freqs[None]
        cond = self.dense("time1", F.silu(self.dense("time0", torch.cat([angle.cos(), angle.sin()], 1), self.hidden)), self.hidden)
        if self.classes:
            cond = cond + self.weight("label/embedding", self.classes + 1, self.hidden)[y]
        mid = None
        for i in range(self.depth):
            x = self.block(f"block{i}", x, cond)
            if i + 1 == (self.depth + 1) // 2:
                mid = x
        shift, scale = self.chunks("out_modulation", cond, 2)
        x = self.dense("out", self.norm(x) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1), p * p * self.out)
        x = torch.einsum("nhwpqc->nchpwq", x.reshape(-1, h, w, p, p, self.out)).reshape(x.shape[0], self.out, h * p, w * p)
        return x.permute(0, 2, 3, 1), mid


def run(net, h, w):
    n = 2 * h * w * net.channels
    x = torch.tensor([math.sin(0.9 * i) for i in range(n)], dtype=torch.float64).float().reshape(2, h, w, net.channels)
    out, mid = net(x.permute(0, 3, 1, 2), torch.tensor([3, 917]), torch.tensor([1, 3]))
    return {"output": out.flatten().tolist(), "mid": mid.flatten().tolist(), "parameters": sum(net.count.values())}


with torch.no_grad():
    forms = {"labels": run(Net(3, 16, 4, 2, 1, 1, 3), 8, 8), "wide": run(Net(2, 24, 2, 4, 3, 6, 0), 8, 12)}
    # DiT-S/2 of Table 1's code on latents of 32x32x4 with 1000 labels and learned variances: 32.96 million, positions aside.
    small = Net(12, 384, 6, 2, 4, 8, 1000)
    small.weight = lambda name, *shape: (small.count.__setitem__(name, math.prod(shape)), torch.zeros(shape))[1]
    small(torch.zeros(1, 4, 32, 32), torch.tensor([0]), torch.tensor([0]))
    forms["S/2"] = {"parameters": sum(small.count.values())}
print(json.dumps(forms))
