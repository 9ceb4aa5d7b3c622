"""Makes reference.json: inputs, and the metrics' values by NumPy and SciPy.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    /tmp/venv/bin/python testdata/reference.py > testdata/reference.json

Nothing here follows the Go code: FID's trace comes from scipy.linalg.sqrtm where the covariances
have full rank and from the singular values of the product of the centred data where they have
not; KID is a double loop; PRDC and copies sort whole distance matrices.
"""
import json
import sys

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

rng = np.random.default_rng(20240607)


def features(n, d, shift, relu):
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + shift
    if relu:
        x = np.maximum(x, 0)
        x[:, 1] = 0  # a dead unit
        x[:, 3] = x[:, 2]  # two units that always agree
    return np.round(x, 5)


def fid_sqrtm(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    diff = a.mean(0) - b.mean(0)
    return float(diff @ diff + np.trace(ca) + np.trace(cb) - 2 * np.trace(sqrtm(ca @ cb)).real)


def fid_svd(a, b):
    # Tr((Ca Cb)^1/2) is the nuclear norm of A Bᵀ, with C = Aᵀ A.
    ac = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    bc = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    diff = a.mean(0) - b.mean(0)
    nuclear = np.linalg.svd(ac @ bc.T, compute_uv=False).sum()
    return float(diff @ diff + (ac**2).sum() + (bc**2).sum() - 2 * nuclear)


def mmd2(a, b):
    d = a.shape[1]

    def k(x, y):
        return (float(np.dot(x, y)) / d + 1) ** 3

    n, m = len(a), len(b)
    aa = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    bb = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    ab = sum(k(x, y) for x in a for y in b) / (n * m)
    return aa + bb - 2 * ab


def prdc(real, fake, k):
    rr = np.sort(cdist(real, real), axis=1)[:, k]  # column 0 is the image itself
    ff = np.sort(cdist(fake, fake), axis=1)[:, k]
    rf = cdist(real, fake)
    return {
        "k": k,
        "precision": float((rf < rr[:, None]).any(0).mean()),
        "recall": float((rf < ff[None, :]).any(1).mean()),
        "density": float((rf < rr[:, None]).sum(0).mean() / k),
        "coverage": float((rf.min(1) < rr).mean()),
    }


def copies(samples, images, ratio):
    dist = np.sort(cdist(samples, images), axis=1)
    return {
        "ratio": ratio,
        "index": cdist(samples, images).argmin(1).tolist(),
        "d1": dist[:, 0].tolist(),
        "d2": dist[:, 1].tolist(),
        "share": float((dist[:, 0] < ratio * dist[:, 1]).mean()),
    }


def label_kl(p, q):
    p, q = np.array(p) / sum(p) + 1e-8, np.array(q) / sum(q) + 1e-8
    return float((p * np.log(p / q)).sum())


def main():
    out = {"command": "python testdata/reference.py > testdata/reference.json",
           "numpy": np.__version__, "sets": {}, "pairs": []}
    full_a, full_b = features(60, 8, 0.0, False), features(50, 8, 0.3, False)
    relu_a, relu_b = features(40, 10, -0.2, True), features(44, 10, 0.2, True)
    few_a, few_b = features(9, 10, 0.0, True), features(30, 10, 0.1, True)
    relu_b[7] = relu_b[8]  # duplicates within a set
    relu_b[9] = relu_a[4]  # and across
    out["sets"] = {k: v.tolist() for k, v in dict(
        full_a=full_a, full_b=full_b, relu_a=relu_a, relu_b=relu_b, few_a=few_a, few_b=few_b).items()}
    for name, a, b, fid in [("full", full_a, full_b, fid_sqrtm), ("relu", relu_a, relu_b, fid_svd),
                            ("few", few_a, few_b, fid_svd)]:
        ia = [rng.permutation(len(a))[:8].tolist() for _ in range(5)]
        ib = [rng.permutation(len(b))[:8].tolist() for _ in range(5)]
        subsets = [mmd2(a[i], b[j]) for i, j in zip(ia, ib)]
        out["pairs"].append({
            "name": name, "fid": fid(a, b), "kid": mmd2(a, b),
            "subset_rows_a": ia, "subset_rows_b": ib,
            "kid_subsets_mean": float(np.mean(subsets)), "kid_subsets_std": float(np.std(subsets)),
            "prdc": [prdc(a, b, k) for k in (1, 3, 5)],
        })
    assert np.isclose(fid_sqrtm(full_a, full_b), fid_svd(full_a, full_b), rtol=1e-9)

    images = np.round(rng.uniform(-1, 1, size=(30, 48)), 3).astype(np.float32)
    near = images[rng.integers(0, 30, 12)] + rng.normal(size=(12, 48)).astype(np.float32) * \
        np.linspace(0, 0.8, 12, dtype=np.float32)[:, None]
    samples = np.concatenate([near, rng.uniform(-1, 1, size=(6, 48))]).round(4).astype(np.float32)
    out["copies"] = {"images": [[float(f"{v:.4f}") for v in r] for r in images],
                     "samples": [[float(f"{v:.4f}") for v in r] for r in samples],
                     "want": [copies(samples.astype(float), images.astype(float), r) for r in (1 / 3, 0.6)]}
    p, q = [100, 100, 100, 0, 100], [150, 0, 130, 20, 60]
    out["labels"] = {"reference": p, "generated": q, "kl": label_kl(p, q),
                     "ard": float(np.abs(np.array(p) / sum(p) - np.array(q) / sum(q)).sum() / 2)}
    json.dump(out, sys.stdout)
    print()


main()
