"""Values of DDPM, DDIM and DPM-Solver++(2M), written from the papers' equations with NumPy alone.

Timesteps are 1 .. T here, as in the papers. Written with Python 3.11 and NumPy 2; made by

    python3 reference.py > reference.json
"""

import json
import math

import numpy as np


def linear_beta(T):
    """arXiv:2006.11239 section 4, at T = 1000; others keep the integral of beta, as arXiv:2102.09672's code does."""
    return np.linspace(0.0001 * 1000 / T, 0.02 * 1000 / T, T, dtype=np.float64)


def cosine_beta(T):
    """arXiv:2102.09672 eq. 17, s = 0.008, clipped at 0.999."""
    f = lambda t: np.cos((t / T + 0.008) / (1 + 0.008) * math.pi / 2) ** 2
    t = np.arange(1, T + 1)
    return np.minimum(1 - (f(t) / f(0)) / (f(t - 1) / f(0)), 0.999)


def alpha_bars(beta):
    """alpha_bar[0] = 1, alpha_bar[t] for t = 1 .. T."""
    return np.concatenate([[1.0], np.exp(np.cumsum(np.log1p(-beta)))])


def ddpm_step(ab, t, s, xt, eps, v):
    """Algorithm 2 of arXiv:2006.11239 from t to s < t: mean in its noise form, and the three variances."""
    alpha = ab[t] / ab[s]
    beta = 1 - alpha
    mean = (xt - beta / np.sqrt(1 - ab[t]) * eps) / np.sqrt(alpha)
    small = (1 - ab[s]) / (1 - ab[t]) * beta
    learned = np.exp(v * np.log(beta) + (1 - v) * np.log(small)) if s > 0 else np.nan
    return mean, {"large": beta, "small": small, "learned": learned}


def ddim_step(ab, t, s, xt, eps, eta):
    """arXiv:2010.02502 eq. 12 and 16: everything but the random term, and its standard deviation."""
    sigma = eta * np.sqrt((1 - ab[s]) / (1 - ab[t])) * np.sqrt(1 - ab[t] / ab[s])
    predicted = (xt - np.sqrt(1 - ab[t]) * eps) / np.sqrt(ab[t])
    return np.sqrt(ab[s]) * predicted + np.sqrt(1 - ab[s] - sigma**2) * eps, sigma


def dpmpp_2m(ab, ts, x, outputs):
    """arXiv:2211.01095 algorithm 2 with alpha = sqrt(alpha_bar); ts descends, outputs are noises, one a step.
    The last step returns the last data prediction."""
    a = lambda t: np.sqrt(ab[t])
    sg = lambda t: np.sqrt(1 - ab[t])
    lam = lambda t: np.log(a(t) / sg(t))
    states, buffer = [], None
    for i, t in enumerate(ts):
        data = (x - sg(t) * outputs[i]) / a(t)
        if i == len(ts) - 1:
            x = data
        else:
            s = ts[i + 1]
            h = lam(s) - lam(t)
            if buffer is None:
                D = data
            else:
                r = (lam(t) - lam(ts[i - 1])) / h
                D = (1 + 1 / (2 * r)) * data - 1 / (2 * r) * buffer
            x = sg(s) / sg(t) * x - a(s) * (np.exp(-h) - 1) * D
        buffer = data
        states.append(float(x))
    return states


def main():
    out = {"schedules": [], "steps": []}
    for name, T in [("linear", 1000), ("linear", 100), ("cosine", 1000), ("cosine", 50)]:
        beta = linear_beta(T) if name == "linear" else cosine_beta(T)
        ab = alpha_bars(beta)
        at = sorted({0, 1, T // 3, T // 2, T - 2, T - 1})
        out["schedules"].append({"name": name, "T": T, "t": at, "beta": beta[at].tolist(), "alpha_bar": ab[1:][at].tolist()})
        for t, s in [(1, 0), (2, 1), (T // 2, T // 2 - 1), (T, T - 1), (T // 2, T // 5), (T, T // 2)]:
            xt, eps, v = 0.8, -0.35, 0.3
            mean, variance = ddpm_step(ab, t, s, xt, eps, v)
            ddim, sigma = ddim_step(ab, t, s, xt, eps, 0.4)
            out["steps"].append({"name": name, "T": T, "t": t - 1, "s": s - 1, "xt": xt, "eps": eps, "v": v, "mean": float(mean),
                                 "large": float(variance["large"]), "small": float(variance["small"]),
                                 "learned": None if s == 0 else float(variance["learned"]),
                                 "eta": 0.4, "ddim": float(ddim), "ddim_sigma": float(sigma)})
    ab = alpha_bars(linear_beta(1000))
    ts = [1000, 820, 640, 431, 230, 77, 12, 1]
    outputs = [0.3, -0.2, 0.55, 0.1, -0.4, 0.25, -0.15, 0.05]
    out["dpmpp"] = {"t": [t - 1 for t in ts], "x": 1.3, "outputs": outputs, "states": dpmpp_2m(ab, ts, 1.3, outputs)}
    print(json.dumps(out, indent=1))


main()
