"""The U-Net of DDPM forward in NumPy, float64, channels first and with explicit loops: an implementation apart from
the Go one. Weights are a formula of their name and index that the Go test repeats, so none need storing. Also counts
the parameters of the CIFAR-10 network. Written with Python 3.11 and NumPy 2; made by

    python3 reference.py > reference.json
"""

import json
import math
import zlib

import numpy as np

made = {}


def weight(name, *shape):
    n = int(np.prod(shape))
    phase = zlib.crc32(name.encode()) % 1000
    value = 0.4 * np.sin(0.37 * np.arange(n) + phase)
    made[name] = n
    return (1 + value if name.endswith("gain") else value).reshape(shape)


def conv(name, x, out, k=3, stride=1):
    w, b = weight(name + "/weights", k, k, x.shape[1], out), weight(name + "/biases", out)
    B, C, H, W = x.shape
    # "same": stride 1 pads one pixel on every side, stride 2 of an even size only below and to the right.
    lo = 1 if stride == 1 else 0
    pad = np.zeros((B, C, H + 2, W + 2))
    pad[:, :, lo:lo + H, lo:lo + W] = x
    y = np.zeros((B, out, H // stride, W // stride))
    for r in range(H // stride):
        for c in range(W // stride):
            for o in range(out):
                patch = pad[:, :, r * stride:r * stride + k, c * stride:c * stride + k]
                y[:, o, r, c] = (patch * w[:, :, :, o].transpose(2, 0, 1)).sum((1, 2, 3)) + b[o]
    return y


def dense(name, x, out):
    return x @ weight(name + "/weights", x.shape[-1], out) + weight(name + "/biases", out)


def norm(name, x, groups):
    B, C, H, W = x.shape
    g = x.reshape(B, groups, -1)
    g = (g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + 1e-6)
    return g.reshape(x.shape) * weight(name + "/gain", C)[:, None, None] + weight(name + "/offset", C)[:, None, None]


def silu(x):
    return x / (1 + np.exp(-x))


def residual(name, x, emb, out, groups):
    h = conv(name + "/conv0", silu(norm(name + "/norm0", x, groups)), out)
    h = h + dense(name + "/embed", emb, out)[:, :, None, None]
    h = conv(name + "/conv1", silu(norm(name + "/norm1", h, groups)), out)
    if x.shape[1] != out:
        x = dense(name + "/skip", x.transpose(0, 2, 3, 1), out).transpose(0, 3, 1, 2)
    return x + h


def attention(name, x, groups, heads):
    B, C, H, W = x.shape
    n = norm(name + "/norm", x, groups).reshape(B, C, H * W).transpose(0, 2, 1)
    q, k, v = (dense(name + "/" + part, n, C) for part in ("query", "key", "value"))
    d = C // heads
    mixed = np.zeros_like(q)
    for b in range(B):
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            for i in range(H * W):
                score = np.array([q[b, i, part] @ k[b, j, part] for j in range(H * W)]) / math.sqrt(d)
                p = np.exp(score - score.max())
                mixed[b, i, part] = (p / p.sum()) @ v[b, :, part]
    return x + dense(name + "/project", mixed, C).transpose(0, 2, 1).reshape(x.shape)


def unet(x, t, y, base, mults, blocks, attend, mid_attention, heads, groups, classes, out_channels):
    half = base // 2
    freq = [10000 ** (-i / (half - 1)) for i in range(half)]
    emb = np.array([[math.sin(s * f) for f in freq] + [math.cos(s * f) for f in freq] for s in t])
    emb = dense("time1", silu(dense("time0", emb, 4 * base)), 4 * base)
    if classes:
        emb = emb + weight("label/embedding", classes + 1, 4 * base)[y]
    emb = silu(emb)
    h = conv("in", x, base)
    skips = [h]
    for level, mult in enumerate(mults):
        for i in range(blocks):
            name = f"down{level}_{i}"
            h = residual(name, h, emb, base * mult, groups)
            if min(h.shape[2:]) in attend:
                h = attention(name + "/attention", h, groups, heads)
            skips.append(h)
        if level < len(mults) - 1:
            h = conv(f"down{level}_pool", h, base * mult, stride=2)
            skips.append(h)
    h = residual("mid0", h, emb, h.shape[1], groups)
    if mid_attention:
        h = attention("mid_attention", h, groups, heads)
    h = residual("mid1", h, emb, h.shape[1], groups)
    for level in reversed(range(len(mults))):
        for i in range(blocks + 1):
            name = f"up{level}_{i}"
            h = residual(name, np.concatenate([h, skips.pop()], 1), emb, base * mults[level], groups)
            if min(h.shape[2:]) in attend:
                h = attention(name + "/attention", h, groups, heads)
        if level:
            h = conv(f"up{level}_grow", h.repeat(2, 2).repeat(2, 3), base * mults[level])
    return conv("out", silu(norm("out_norm", h, groups)), out_channels)


def count(channels, base, mults, blocks, attend, size):
    """Parameters of an unconditional network with attention in the middle, by arithmetic alone."""
    conv = lambda i, o: 9 * i * o + o
    dense = lambda i, o: i * o + o
    residual = lambda i, o: 2 * i + conv(i, o) + dense(4 * base, o) + 2 * o + conv(o, o) + (dense(i, o) if i != o else 0)
    attention = lambda c: 2 * c + 4 * dense(c, c)
    n = dense(base, 4 * base) + dense(4 * base, 4 * base) + conv(channels, base)
    width, skips = base, [base]
    for level, m in enumerate(mults):
        for _ in range(blocks):
            n += residual(width, base * m)
            width = base * m
            n += attention(width) if size >> level in attend else 0
            skips.append(width)
        if level < len(mults) - 1:
            n += conv(width, width)
            skips.append(width)
    n += 2 * residual(width, width) + attention(width)
    for level in reversed(range(len(mults))):
        for _ in range(blocks + 1):
            n += residual(width + skips.pop(), base * mults[level])
            width = base * mults[level]
            n += attention(width) if size >> level in attend else 0
        n += conv(width, width) if level else 0
    return n + 2 * width + conv(width, channels)


def main():
    def output(H, W):
        B, C = 2, 2
        x = np.sin(0.9 * np.arange(B * H * W * C)).reshape(B, H, W, C)  # channels last, as Go lays them out
        y = unet(x.transpose(0, 3, 1, 2), [3, 917], [1, 3], base=4, mults=[1, 2], blocks=1, attend=[2], mid_attention=True,
                 heads=2, groups=2, classes=3, out_channels=4)
        return [float(f"{v:.9g}") for v in y.transpose(0, 2, 3, 1).ravel()]

    print(json.dumps({"output": output(4, 4), "wide": output(4, 6), "parameters": sum(made.values()),
                      "cifar10": count(3, 128, [1, 2, 2, 2], 2, [16], 32)}))


main()
