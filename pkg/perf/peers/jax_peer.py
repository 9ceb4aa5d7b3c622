"""The U-Net of pkg/unet and the transformer of pkg/dit, their training step and samplers in JAX (Flax, Optax), on the processor."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

import peer


class Residual(nn.Module):
    c: dict
    out: int

    @nn.compact
    def __call__(self, x, emb, train, attend):
        h = conv(self.out, "conv0")(nn.silu(norm(self.c, "norm0")(x)))
        h = h + nn.Dense(self.out, name="embed")(emb)[:, None, None, :]
        h = nn.silu(norm(self.c, "norm1")(h))
        h = conv(self.out, "conv1")(nn.Dropout(self.c["dropout"], deterministic=not train)(h))
        x = nn.Dense(self.out, name="skip")(x) if x.shape[-1] != self.out else x
        return Attention(self.c, name="attention")(x + h) if attend else x + h


class Attention(nn.Module):
    c: dict

    @nn.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        normed = norm(self.c, "norm")(x)
        q, k, v = (nn.Dense(c, name=n)(normed).reshape(b, h * w, self.c["heads"], -1) for n in ("query", "key", "value"))
        mixed = jax.nn.dot_product_attention(q, k, v)
        return x + nn.Dense(c, name="project")(mixed.reshape(b, h, w, c))


class UNet(nn.Module):
    """Layers are called as in pkg/unet, so that weights can be handed over."""

    c: dict

    @nn.compact
    def __call__(self, x, t, y, train=False):
        c, base, width = self.c, self.c["base"], 4 * self.c["base"]
        residual = lambda name, h, out, attend=True: Residual(c, out, name=name)(
            h, emb, train, attend and peer.attends(c, h.shape[1]))
        angle = t[:, None].astype(jnp.float32) * peer.frequencies(base)
        emb = nn.Dense(width, name="time0")(jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], 1))
        emb = nn.Dense(width, name="time1")(nn.silu(emb))
        if c["classes"]:
            emb = emb + nn.Embed(c["classes"] + 1, width, name="label")(y)
        emb = nn.silu(emb)
        h = conv(base, "in")(x)
        skips = [h]
        for level, mult in enumerate(c["mults"]):
            for i in range(c["res_blocks"]):
                h = residual(f"down{level}_{i}", h, base * mult)
                skips.append(h)
            if level < len(c["mults"]) - 1:
                h = nn.Conv(base * mult, (3, 3), 2, padding=((0, 1), (0, 1)), name=f"down{level}_pool")(h)
                skips.append(h)
        h = residual("mid0", h, h.shape[-1], attend=False)
        if c["mid_attention"]:
            h = Attention(c, name="mid_attention")(h)
        h = residual("mid1", h, h.shape[-1], attend=False)
        for level, mult in reversed(list(enumerate(c["mults"]))):
            for i in range(c["res_blocks"] + 1):
                h = residual(f"up{level}_{i}", jnp.concatenate([h, skips.pop()], -1), base * mult)
            if level > 0:
                h = conv(base * mult, f"up{level}_grow")(h.repeat(2, 1).repeat(2, 2))
        return conv(c["out_channels"], "out")(nn.silu(norm(c, "out_norm")(h)))


class Block(nn.Module):
    c: dict

    @nn.compact
    def __call__(self, x, cond):
        b, n, hidden = x.shape
        dense = lambda out, name: nn.Dense(out, name=name)
        shift0, scale0, gate0, shift1, scale1, gate1 = jnp.split(dense(6 * hidden, "modulation")(cond)[:, None], 6, 2)
        qkv = dense(3 * hidden, "attend")(modulate(x, shift0, scale0)).reshape(b, n, 3, self.c["heads"], -1)
        mixed = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        x = x + gate0 * dense(hidden, "project")(mixed.reshape(b, n, hidden))
        wide = nn.gelu(dense(4 * hidden, "wide")(modulate(x, shift1, scale1)), approximate=True)
        return x + gate1 * dense(hidden, "narrow")(wide)


class DiT(nn.Module):
    """Layers are called as in pkg/dit, so that weights can be handed over."""

    c: dict

    @nn.compact
    def __call__(self, x, t, y, train=False):
        c, p = self.c, self.c["patch"]
        b, rows, columns = x.shape[0], c["height"] // p, c["width"] // p
        angle = t[:, None].astype(jnp.float32) * peer.dit_frequencies()
        cond = nn.Dense(c["hidden"], name="time0")(jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], 1))
        cond = nn.Dense(c["hidden"], name="time1")(nn.silu(cond))
        if c["classes"]:
            cond = cond + nn.Embed(c["classes"] + 1, c["hidden"], name="label")(y)
        cond = nn.silu(cond)
        h = x.reshape(b, rows, p, columns, p, -1).transpose(0, 1, 3, 2, 4, 5).reshape(b, rows * columns, -1)
        h = nn.Dense(c["hidden"], name="in")(h) + peer.dit_positions(c)
        for i in range(c["depth"]):
            h = Block(c, name=f"block{i}")(h, cond)
        shift, scale = jnp.split(nn.Dense(2 * c["hidden"], name="out_modulation")(cond)[:, None], 2, 2)
        h = nn.Dense(p * p * c["out_channels"], name="out")(modulate(h, shift, scale))
        return h.reshape(b, rows, columns, p, p, -1).transpose(0, 1, 3, 2, 4, 5).reshape(b, rows * p, columns * p, -1)


def modulate(x, shift, scale):
    return nn.LayerNorm(epsilon=1e-6, use_bias=False, use_scale=False)(x) * (1 + scale) + shift


def conv(channels, name):
    return nn.Conv(channels, (3, 3), padding=1, name=name)


def norm(c, name):
    return nn.GroupNorm(c["groups"], epsilon=1e-6, name=name)


def path_of(keys):
    """What pkg/unet or pkg/dit calls a weight of Flax."""
    last = {"kernel": "weights", "bias": "biases", "scale": "gain"}.get(keys[-1], keys[-1])
    if last == "biases" and "norm" in keys[-2]:
        last = "offset"
    return "/".join(keys[:-1] + (last,))


class Peer:
    def __init__(self, task):
        self.versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__, "flax": flax.__version__,
                         "optax": optax.__version__, "numpy": np.__version__}
        c, rows, what = peer.sizes(task), task["rows"], task["what"]
        c = flax.core.freeze(c)
        self.net = (DiT if "dit" in task else UNet)(c)
        shape = (rows, c["height"], c["width"], c["channels"])
        self.key = jax.random.key(0)
        self.x = jax.random.normal(self.key, shape)
        self.y = jnp.arange(rows) % max(1, c["classes"])
        self.t = jnp.arange(rows) % len(task["signal"])
        # To draw weights takes minutes of compilation, layer by layer, and ours are loaded over them.
        shapes = jax.eval_shape(self.net.init, self.key, self.x[:1], self.t[:1], self.y[:1])["params"]
        self.weights = jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), shapes)
        signals, sigmas, train = jnp.array(task["signal"]), jnp.array(task["sigma"]), task["train"]
        apply = lambda weights, *inputs: self.net.apply({"params": weights}, *inputs)
        self.apply = jax.jit(apply)

        if what == "step":
            clip = [optax.clip_by_global_norm(train["clip_norm"])] if train["clip_norm"] > 0 else []
            optimizer = optax.chain(*clip, optax.adam(train["learning_rate"]))

            def step(weights, state, average, key, x, y):
                key, of_t, of_noise, of_dropout = jax.random.split(key, 4)
                t = jax.random.randint(of_t, (rows,), 0, len(signals))
                noise = jax.random.normal(of_noise, shape)
                signal, sigma = signals[t][:, None, None, None], sigmas[t][:, None, None, None]

                def loss(weights):
                    out = self.net.apply({"params": weights}, signal * x + sigma * noise, t, y, True, rngs={"dropout": of_dropout})
                    return jnp.mean((out - (signal * noise - sigma * x)) ** 2)

                value, gradient = jax.value_and_grad(loss)(weights)
                updates, state = optimizer.update(gradient, state, weights)
                weights = optax.apply_updates(weights, updates)
                average = jax.tree.map(lambda a, w: a + (w - a) * (1 - train["ema"]), average, weights)
                return weights, state, average, key, value

            step = jax.jit(step, donate_argnums=(0, 1, 2, 3))
            self.state = None

            def call():
                if self.state is None:  # the weights are loaded by now
                    self.state = self.weights, optimizer.init(self.weights), jax.tree.map(jnp.copy, self.weights), self.key
                *self.state, value = step(*self.state, self.x, self.y)
                return float(value)
        elif what == "forward":
            def call():
                return np.asarray(self.apply(self.weights, self.x, self.t, self.y))
        else:
            steps = jnp.array(task["steps"], jnp.float32)

            @jax.jit
            def sample(weights, key, y):
                key, of_noise = jax.random.split(key)

                def advance(carry, step):
                    x, past = carry
                    t, image_x, image_out, next_x, next_image, next_past = step
                    out = apply(weights, x, jnp.full((rows,), t.astype(jnp.int32)), y)
                    image = jnp.clip(image_x * x + image_out * out, -1, 1)
                    return (next_x * x + next_image * image + next_past * past, image), None

                (x, _), _ = jax.lax.scan(advance, (jax.random.normal(of_noise, shape), jnp.zeros(shape)), steps)
                return x, key

            def call():
                x, self.key = sample(self.weights, self.key, self.y)
                return np.asarray(x)
        self.call = call

    def parameters(self):
        return sum(w.size for w in jax.tree.leaves(self.weights))

    def load(self, weights):
        loaded = {}
        peer.fill([(path_of(keys), w.shape, lambda values, keys=keys: loaded.__setitem__(keys, jnp.array(values)))
                   for keys, w in flatten_dict(self.weights).items()], weights)
        self.weights = unflatten_dict(loaded)

    def output(self, x, t, y):
        return np.asarray(self.apply(self.weights, x, t, y))


if __name__ == "__main__":
    peer.serve(Peer)
