"""Makes variety.json: features, and the authors' own values of the Vendi score and of FLD on them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 torch==2.15.0 vendi-score==0.0.3
    git clone https://github.com/marcojira/fld /tmp/fld && git -C /tmp/fld checkout ffbbf20
    PYTHONPATH=/tmp/fld /tmp/venv/bin/python testdata/variety.py > testdata/variety.json

Both programs compute in float64 here. FLD's random halves of the training images are, here, the first and the second half,
so that the value does not depend on a generator of random numbers. What FLD's files import for plots and progress and
do not need for the value is replaced by nothing.
"""
import importlib.machinery
import json
import sys
import types

import numpy as np
import torch

for name in ["matplotlib", "matplotlib.pyplot", "seaborn", "tqdm"]:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
sys.modules["tqdm"].tqdm = lambda x, **_: x

from vendi_score import vendi

import fld.MoG
import fld.metrics.FLD

torch.set_default_dtype(torch.float64)
fld.MoG.shuffle = fld.metrics.FLD.shuffle = lambda x, size=None: x

rng = np.random.default_rng(20261126)
D = 8


def real(n):
    """Two clusters of unequal size, correlated features of unequal scale."""
    mix = np.random.default_rng(1).normal(size=(D, D)) * np.linspace(0.3, 3, D)
    centre = np.where(rng.random((n, 1)) < 0.3, 2.0, -1.0)
    return np.round((rng.normal(size=(n, D)) + centre) @ mix / np.sqrt(D), 4)


train, test = real(80), real(50)
generated = {
    "fresh": real(40),
    "copies": train[:40],
    "near copies": np.round(train[:40] + 0.01 * rng.normal(size=(40, D)), 4),
    "one cluster": np.round(np.median(train, 0) + 0.3 * rng.normal(size=(40, D)), 4),
    "noisy": np.round(real(40) + 2 * rng.normal(size=(40, D)), 4),
    "many": real(120),
    "few": real(5),
}


def numbers(gen):
    t = [torch.tensor(x) for x in (train, test, gen)]
    metric = fld.metrics.FLD.FLD()
    p = np.random.default_rng(len(gen)).integers(1, 4, len(gen)).astype(float)
    x = gen / np.linalg.norm(gen, axis=1, keepdims=True)
    return {
        "features": gen.tolist(),
        "fld": metric.compute_metric(*t),
        "baseline": metric.get_baseline_nll(t[0], t[1], size=len(gen)),
        "vendi": float(vendi.score_dual(gen)),
        "weights": p.tolist(),
        "weighted_vendi": float(np.exp(vendi.entropy_q(np.linalg.eigvalsh(vendi.weight_K(x @ x.T, p / p.sum()))))),
    }


json.dump({"train": train.tolist(), "test": test.tolist(), "cases": {k: numbers(g) for k, g in generated.items()}}, sys.stdout)
print()
