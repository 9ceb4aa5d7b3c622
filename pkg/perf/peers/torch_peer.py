"""The U-Net of pkg/unet and the transformer of pkg/dit, their training step and samplers in PyTorch, on the processor or a GPU."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import peer


class Residual(nn.Module):
    def __init__(self, c, inp, out, side):
        super().__init__()
        self.norm0, self.conv0 = norm(c, inp), nn.Conv2d(inp, out, 3, padding=1)
        self.embed = nn.Linear(4 * c["base"], out)
        self.norm1, self.conv1 = norm(c, out), nn.Conv2d(out, out, 3, padding=1)
        self.dropout = nn.Dropout(c["dropout"])
        self.skip = nn.Conv2d(inp, out, 1) if inp != out else nn.Identity()
        self.attention = Attention(c, out) if peer.attends(c, side) else nn.Identity()

    def forward(self, x, emb):
        h = self.conv0(F.silu(self.norm0(x))) + self.embed(emb)[:, :, None, None]
        h = self.conv1(self.dropout(F.silu(self.norm1(h))))
        return self.attention(self.skip(x) + h)


class Attention(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        self.heads = c["heads"]
        self.norm = norm(c, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.project(mixed.transpose(2, 3).reshape(b, c, h, w))


class UNet(nn.Module):
    """Layers are called as in pkg/unet, so that weights can be handed over."""

    def __init__(self, c):
        super().__init__()
        self.c, base, width = c, c["base"], 4 * c["base"]
        self.register_buffer("frequencies", torch.from_numpy(peer.frequencies(base)))
        layers = {"time0": nn.Linear(base, width), "time1": nn.Linear(width, width)}
        if c["classes"]:
            layers["label"] = nn.Embedding(c["classes"] + 1, width)
        layers["in"] = nn.Conv2d(c["channels"], base, 3, padding=1)
        channels, side, skips = base, c["image_size"], [base]
        for level, mult in enumerate(c["mults"]):
            for i in range(c["res_blocks"]):
                layers[f"down{level}_{i}"] = Residual(c, channels, base * mult, side)
                channels = base * mult
                skips.append(channels)
            if level < len(c["mults"]) - 1:
                layers[f"down{level}_pool"] = nn.Conv2d(channels, channels, 3, stride=2)
                skips.append(channels)
                side //= 2
        layers["mid0"] = Residual({**c, "attention": []}, channels, channels, side)
        if c["mid_attention"]:
            layers["mid_attention"] = Attention(c, channels)
        layers["mid1"] = Residual({**c, "attention": []}, channels, channels, side)
        for level, mult in reversed(list(enumerate(c["mults"]))):
            for i in range(c["res_blocks"] + 1):
                layers[f"up{level}_{i}"] = Residual(c, channels + skips.pop(), base * mult, side)
                channels = base * mult
            if level > 0:
                layers[f"up{level}_grow"] = nn.Conv2d(channels, channels, 3, padding=1)
                side *= 2
        layers["out_norm"], layers["out"] = norm(c, channels), nn.Conv2d(channels, c["out_channels"], 3, padding=1)
        self.layers = nn.ModuleDict(layers)

    def forward(self, x, t, y):
        c, layer = self.c, self.layers
        angle = t[:, None].float() * self.frequencies
        emb = layer["time1"](F.silu(layer["time0"](torch.cat([angle.sin(), angle.cos()], 1))))
        if c["classes"]:
            emb = emb + layer["label"](y)
        emb = F.silu(emb)
        h = layer["in"](x)
        skips = [h]
        for level in range(len(c["mults"])):
            for i in range(c["res_blocks"]):
                h = layer[f"down{level}_{i}"](h, emb)
                skips.append(h)
            if level < len(c["mults"]) - 1:
                h = layer[f"down{level}_pool"](F.pad(h, (0, 1, 0, 1)))
                skips.append(h)
        h = layer["mid0"](h, emb)
        if c["mid_attention"]:
            h = layer["mid_attention"](h)
        h = layer["mid1"](h, emb)
        for level in reversed(range(len(c["mults"]))):
            for i in range(c["res_blocks"] + 1):
                h = layer[f"up{level}_{i}"](torch.cat([h, skips.pop()], 1), emb)
            if level > 0:
                h = layer[f"up{level}_grow"](F.interpolate(h, scale_factor=2, mode="nearest"))
        return layer["out"](F.silu(layer["out_norm"](h)))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden, self.heads = c["hidden"], c["heads"]
        self.modulation = nn.Linear(hidden, 6 * hidden)
        self.attend, self.project = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.wide, self.narrow = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x, cond):
        b, n, hidden = x.shape
        shift0, scale0, gate0, shift1, scale1, gate1 = self.modulation(cond).unsqueeze(1).chunk(6, 2)
        qkv = self.attend(modulate(x, shift0, scale0)).reshape(b, n, 3, self.heads, hidden // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, hidden)
        x = x + gate0 * self.project(mixed)
        return x + gate1 * self.narrow(F.gelu(self.wide(modulate(x, shift1, scale1)), approximate="tanh"))


class DiT(nn.Module):
    """Layers are called as in pkg/dit, so that weights can be handed over."""

    def __init__(self, c):
        super().__init__()
        self.c, hidden = c, c["hidden"]
        self.register_buffer("frequencies", torch.from_numpy(peer.dit_frequencies()))
        self.register_buffer("positions", torch.from_numpy(peer.dit_positions(c)))
        layers = {"in": nn.Conv2d(c["channels"], hidden, c["patch"], stride=c["patch"]),
                  "time0": nn.Linear(2 * len(self.frequencies), hidden), "time1": nn.Linear(hidden, hidden)}
        if c["classes"]:
            layers["label"] = nn.Embedding(c["classes"] + 1, hidden)
        for i in range(c["depth"]):
            layers[f"block{i}"] = Block(c)
        layers["out_modulation"] = nn.Linear(hidden, 2 * hidden)
        layers["out"] = nn.Linear(hidden, c["patch"] ** 2 * c["out_channels"])
        self.layers = nn.ModuleDict(layers)

    def forward(self, x, t, y):
        c, layer = self.c, self.layers
        angle = t[:, None].float() * self.frequencies
        cond = layer["time1"](F.silu(layer["time0"](torch.cat([angle.cos(), angle.sin()], 1))))
        if c["classes"]:
            cond = cond + layer["label"](y)
        cond = F.silu(cond)
        h = layer["in"](x)
        rows, columns, p = *h.shape[2:], c["patch"]
        h = h.flatten(2).transpose(1, 2) + self.positions
        for i in range(c["depth"]):
            h = layer[f"block{i}"](h, cond)
        h = layer["out"](modulate(h, *layer["out_modulation"](cond).unsqueeze(1).chunk(2, 2)))
        h = h.reshape(-1, rows, columns, p, p, c["out_channels"]).permute(0, 5, 1, 3, 2, 4)
        return h.reshape(-1, c["out_channels"], rows * p, columns * p)


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def norm(c, channels):
    return nn.GroupNorm(c["groups"], channels, eps=1e-6)


def slots(net):
    """Where each weight of pkg/unet or pkg/dit goes, in its layout: [in, out], or [height, width, in, out]."""
    def place(path, view):
        return path, tuple(view.shape), lambda values: view.copy_(torch.from_numpy(values))

    for name, m in net.layers.named_modules():
        path = name.replace(".", "/")
        if isinstance(m, nn.GroupNorm):
            yield place(path + "/gain", m.weight.data)
            yield place(path + "/offset", m.bias.data)
        elif isinstance(m, nn.Embedding):
            yield place(path + "/embedding", m.weight.data)
        elif isinstance(m, (nn.Linear, nn.Conv2d)):
            kernel = m.weight.data
            if kernel.dim() == 4:
                kernel = kernel.permute(2, 3, 1, 0)
                if kernel.shape[0] == 1:
                    kernel = kernel[0, 0]
            else:
                kernel = kernel.T
            if path.endswith("/qkv"):
                parts = zip(("query", "key", "value"), kernel.chunk(3, 1), m.bias.data.chunk(3))
            else:
                parts = [(path.rsplit("/", 1)[-1], kernel, m.bias.data)]
            for last, weights, biases in parts:
                at = "/".join(path.split("/")[:-1] + [last])
                yield place(at + "/weights", weights)
                yield place(at + "/biases", biases)


class Peer:
    def __init__(self, task):
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.versions = {"torch": torch.__version__, "numpy": np.__version__, "threads": str(threads)}
        self.task, c, rows = task, peer.sizes(task), task["rows"]
        self.device = torch.device(task.get("device") or "cpu")
        self.half = task.get("compute") == "bfloat16"
        # As it comes, PyTorch rounds convolutions of float32 to TF32, but no matrix products.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        if self.device.type == "cuda":
            torch.cuda.init()
            self.versions["device"] = torch.cuda.get_device_name(self.device)
        self.layout = torch.channels_last if "channels-last" in task["mode"] else torch.contiguous_format
        self.net = (DiT if "dit" in task else UNet)(c).to(self.device, memory_format=self.layout)
        self.run = torch.compile(self.net) if "compiled" in task["mode"] else self.net
        self.shape = (rows, c["channels"], c["height"], c["width"])
        self.x = self.randn().to(memory_format=self.layout)
        self.y = torch.arange(rows, device=self.device) % max(1, c["classes"])
        self.t = torch.arange(rows, device=self.device) % len(task["signal"])
        self.signal, self.sigma = (torch.tensor(task[k], device=self.device) for k in ("signal", "sigma"))
        if task["what"] == "step":
            self.weights = list(self.net.parameters())
            self.average = [w.detach().clone() for w in self.weights]
            self.optimizer = torch.optim.Adam(self.weights, task["train"]["learning_rate"], fused=True)
            self.call = self.step
        else:
            self.net.eval()
            self.call = self.forward if task["what"] == "forward" else self.sample

    def randn(self):
        return torch.randn(self.shape, device=self.device)

    def predict(self, x, t, y):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.run(x, t, y).float()

    def parameters(self):
        return sum(w.numel() for w in self.net.parameters())

    def load(self, weights):
        peer.fill(slots(self.net), weights)

    def output(self, x, t, y):
        training = self.net.training
        self.net.eval()
        with torch.inference_mode():
            x, t, y = (torch.from_numpy(a).to(self.device) for a in (x, t, y))
            out = self.net(x.permute(0, 3, 1, 2), t, y)
        self.net.train(training)
        return out.permute(0, 2, 3, 1).cpu().numpy()

    def step(self):
        train = self.task["train"]
        t = torch.randint(len(self.signal), (len(self.x),), device=self.device)
        noise = torch.randn_like(self.x)
        signal, sigma = self.signal[t].view(-1, 1, 1, 1), self.sigma[t].view(-1, 1, 1, 1)
        velocity = signal * noise - sigma * self.x
        loss = F.mse_loss(self.predict(signal * self.x + sigma * noise, t, self.y), velocity)
        self.optimizer.zero_grad()
        loss.backward()
        if train["clip_norm"] > 0:
            nn.utils.clip_grad_norm_(self.weights, train["clip_norm"], foreach=True)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [w.detach() for w in self.weights], 1 - train["ema"])
        return loss.item()

    @torch.inference_mode()
    def forward(self):
        return self.predict(self.x, self.t, self.y).cpu().numpy()

    @torch.inference_mode()
    def sample(self):
        x, past = self.randn().to(memory_format=self.layout), torch.zeros((), device=self.device)
        for t, image_x, image_out, next_x, next_image, next_past in self.task["steps"]:
            out = self.predict(x, torch.full((len(x),), int(t), device=self.device), self.y)
            image = (image_x * x + image_out * out).clamp(-1, 1)
            x, past = next_x * x + next_image * image + next_past * past, image
        return x.cpu().numpy()


if __name__ == "__main__":
    peer.serve(Peer)
