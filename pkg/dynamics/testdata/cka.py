"""Values of linear CKA by definitions other than those of the Go code: the plain one in feature space, the unbiased one
as a U-statistic over all quadruples of different examples.

    python cka.py > cka.json        # needs numpy
"""
import itertools
import json

import numpy as np


def plain(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def hsic(x, y):
    """Mean over ordered quadruples (i, j, q, r) of k_ij·(l_ij + l_qr - 2·l_iq)."""
    k, l = x @ x.T, y @ y.T
    terms = [k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q]) for i, j, q, r in itertools.permutations(range(len(x)), 4)]
    return np.mean(terms)


def unbiased(x, y):
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


random = np.random.default_rng(0)
cases = []
for n, p, q, mix in [(6, 2, 3, 0.5), (9, 4, 4, 2.0), (8, 20, 15, 0.0)]:
    x = random.normal(size=(n, p)) + 3
    y = random.normal(size=(n, q)) - 1
    y[:, : min(p, q)] += mix * x[:, : min(p, q)] ** 2 / 4
    x, y = x.round(4), y.round(4)
    cases.append({"x": x.tolist(), "y": y.tolist(), "plain": plain(x, y), "unbiased": unbiased(x, y)})
print(json.dumps(cases))
