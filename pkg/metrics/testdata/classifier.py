"""Makes classifier.json: features and logits of the shipped classifiers by NumPy in float64.

    /tmp/venv/bin/python testdata/classifier.py > testdata/classifier.json

(the environment of reference.py). The convolutions are written out as loops over output pixels.
"""
import glob
import hashlib
import json
import struct
import sys

import numpy as np


def read_safetensors(content):
    (n,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8:8 + n]), content[8 + n:]
    return {k: np.frombuffer(data[v["data_offsets"][0]:v["data_offsets"][1]], "<f4").reshape(v["shape"]).astype(float)
            for k, v in header.items()}


def conv_relu(x, w, b, stride):
    out_size = x.shape[1] // stride
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((len(x), out_size, out_size, w.shape[3]))
    for i in range(out_size):
        for j in range(out_size):
            patch = x[:, i * stride:i * stride + 3, j * stride:j * stride + 3, :]
            out[:, i, j] = np.einsum("nyxc,yxco->no", patch, w) + b
    return np.maximum(out, 0)


def main():
    out = []
    rng = np.random.default_rng(7)
    for path in sorted(glob.glob("weights/*.safetensors")):
        content = open(path, "rb").read()
        info = json.load(open(path.replace(".safetensors", ".json")))
        t = read_safetensors(content)
        s, c = info["size"], info["channels"]
        pixels = np.round(np.clip(rng.normal(size=(2, s, s, c)), -1, 1), 2).astype(np.float32)
        x = conv_relu(pixels.astype(float), t["conv1/weights"], t["conv1/biases"], s // 16)
        x = conv_relu(x, t["conv2/weights"], t["conv2/biases"], 2)
        x = conv_relu(x, t["conv3/weights"], t["conv3/biases"], 2)
        x = np.stack([np.stack([x[:, 2 * i:2 * i + 2, 2 * j:2 * j + 2].mean((1, 2)) for j in range(2)], 1) for i in range(2)], 1)
        h = x.reshape(2, -1) @ t["features/weights"] + t["features/biases"]
        logits = np.maximum(h, 0) @ t["logits/weights"] + t["logits/biases"]
        h = (h - t["standard/mean"]) / t["standard/std"]
        out.append({"name": path[len("weights/"):-len(".safetensors")], "weights_sha256": hashlib.sha256(content).hexdigest(),
                    "size": s, "channels": c, "pixels": [float(f"{v:.2f}") for v in pixels.ravel()],
                    "features": h.round(9).tolist(), "logits": logits.round(9).tolist()})
    json.dump(out, sys.stdout)
    print()


main()
