"""Terms of the variational bound by NumPy, for TestAgainstReference and TestDecoderTails.

    pip install numpy==2.2.6 mpmath==1.3.0
    python reference.py > reference.json

A transcription, in float64, of the formulas of improved_diffusion/gaussian_diffusion.py (GaussianDiffusion:
q_posterior_mean_variance, p_mean_variance, _vb_terms_bpd, _prior_bpd, calc_bpd_loop) and losses.py (normal_kl,
discretized_gaussian_log_likelihood, approx_standard_normal_cdf). The network is 1.2 tanh(W x + 0.1 k cos t), output k.
The decoder's tails are by mpmath with 60 digits.
"""
import json

import mpmath
import numpy as np

N, D, C, T = 3, 12, 3, 20
rng = np.random.default_rng(0)
pixels = rng.integers(0, 256, (N, D))
pixels[0, :4] = [0, 255, 1, 254]
noise = rng.standard_normal((N, T, D)).astype(np.float32)
weights = (0.5 * rng.standard_normal((2 * D, D))).astype(np.float32)
betas = np.minimum(np.linspace(1000 / T * 1e-4, 1000 / T * 0.02, T), 0.999)

alphas_cumprod = np.cumprod(1 - betas)
alphas_cumprod_prev = np.append(1.0, alphas_cumprod[:-1])
posterior_variance = betas * (1 - alphas_cumprod_prev) / (1 - alphas_cumprod)
posterior_log_variance_clipped = np.log(np.append(posterior_variance[1], posterior_variance[1:]))
coef1 = betas * np.sqrt(alphas_cumprod_prev) / (1 - alphas_cumprod)
coef2 = (1 - alphas_cumprod_prev) * np.sqrt(1 - betas) / (1 - alphas_cumprod)


def normal_kl(mean1, logvar1, mean2, logvar2):
    return 0.5 * (-1 + logvar2 - logvar1 + np.exp(logvar1 - logvar2) + (mean1 - mean2) ** 2 * np.exp(-logvar2))


def approx_standard_normal_cdf(x):
    return 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def discretized_gaussian_log_likelihood(x, means, log_scales):
    centered = x - means
    inv_stdv = np.exp(-log_scales)
    cdf_plus = approx_standard_normal_cdf(inv_stdv * (centered + 1 / 255))
    cdf_min = approx_standard_normal_cdf(inv_stdv * (centered - 1 / 255))
    log = lambda p: np.log(np.maximum(p, 1e-12))
    return np.where(x < -0.999, log(cdf_plus), np.where(x > 0.999, log(1 - cdf_min), log(cdf_plus - cdf_min)))


def terms(prediction, variance, clip):
    vb, xstart_mse, eps_mse = np.zeros((N, T)), np.zeros((N, T)), np.zeros((N, T))
    x0 = pixels / 127.5 - 1
    for t in range(T):
        a, b = np.sqrt(alphas_cumprod[t]), np.sqrt(1 - alphas_cumprod[t])
        for i in range(N):
            x_t = a * x0[i] + b * noise[i, t]
            out = 1.2 * np.tanh(weights @ x_t + 0.1 * np.arange(2 * D) * np.cos(t))
            if variance == "learned-range":  # pixel by pixel, predictions then variances
                both = out.reshape(D // C, 2 * C)
                pred, v = both[:, :C].ravel(), both[:, C:].ravel()
                frac = (v + 1) / 2
                log_variance = frac * np.log(betas[t]) + (1 - frac) * posterior_log_variance_clipped[t]
            else:
                pred = out[:D]
                large = np.log(np.append(posterior_variance[1], betas[1:]))
                log_variance = np.full(D, large[t] if variance == "fixed-large" else posterior_log_variance_clipped[t])
            xstart = pred if prediction == "x0" else np.sqrt(1 / alphas_cumprod[t]) * x_t - np.sqrt(1 / alphas_cumprod[t] - 1) * pred
            if clip:
                xstart = np.clip(xstart, -1, 1)
            mean = coef1[t] * xstart + coef2[t] * x_t
            true_mean = coef1[t] * x0[i] + coef2[t] * x_t
            if t == 0:
                value = -discretized_gaussian_log_likelihood(x0[i], mean, 0.5 * log_variance)
            else:
                value = normal_kl(true_mean, posterior_log_variance_clipped[t], mean, log_variance)
            vb[i, t] = value.mean() / np.log(2)
            xstart_mse[i, t] = ((xstart - x0[i]) ** 2).mean()
            eps = (np.sqrt(1 / alphas_cumprod[t]) * x_t - xstart) / np.sqrt(1 / alphas_cumprod[t] - 1)
            eps_mse[i, t] = ((eps - noise[i, t]) ** 2).mean()
    prior = normal_kl(np.sqrt(alphas_cumprod[-1]) * x0, np.log(1 - alphas_cumprod[-1]), 0.0, 0.0).mean(1) / np.log(2)
    return {"prediction": prediction, "variance": variance, "clip": clip, "vb": vb.ravel().tolist(),
            "mse_image": xstart_mse.ravel().tolist(), "mse_noise": eps_mse.ravel().tolist(), "prior": prior.tolist(),
            "total": (vb.sum(1) + prior).tolist()}


mpmath.mp.dps = 60


def bin_nats(level, mean, log_scale):
    x, scale = mpmath.mpf(level) / mpmath.mpf("127.5") - 1, mpmath.exp(mpmath.mpf(log_scale))
    low, high = [(x + s / mpmath.mpf(255) - mpmath.mpf(mean)) / scale for s in (-1, 1)]
    upper = lambda z: mpmath.erfc(z / mpmath.sqrt(2)) / 2
    if level == 0:
        p = upper(-high)
    elif level == 255:
        p = upper(low)
    else:
        p = upper(low) - upper(high) if low > 0 else upper(-high) - upper(-low)
    return float(mpmath.log(p))


print(json.dumps({
    "n": N, "dim": D, "channels": C, "t": T, "pixels": pixels.ravel().tolist(),
    "noise": noise.ravel().tolist(), "weights": weights.ravel().tolist(),
    "cases": [terms(p, v, c) for p in ("eps", "x0") for v in ("fixed-large", "fixed-small", "learned-range") for c in (True, False)],
    "bins": [{"level": l, "mean": m, "log_scale": s, "nats": bin_nats(l, m, s)}
             for l in (0, 1, 100, 128, 254, 255) for m in (-1.0, -0.5, 0.004, 0.75, 1.5) for s in (-5.0, -4.0, -2.0, 0.0, 2.0)],
}))
