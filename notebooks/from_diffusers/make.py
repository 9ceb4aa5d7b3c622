"""Trains the model in the folder model beside this file with diffusers alone: six kinds of clothes, by their labels.

    python make.py      (needs diffusers 0.42, torch 2, numpy; five minutes on one core)

Of this repository it takes the images, datasets/embedded, and nothing else.
"""
import gzip
import os

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES, SIDE, STEPS, ROWS = 6, 16, 2500, 48


def read(name, header):
    with gzip.open(os.path.join(HERE, "..", "..", "datasets", "embedded", name)) as f:
        return np.frombuffer(f.read()[header:], np.uint8)


def shrink(images):
    """28×28 pixels to SIDE×SIDE, each the mean of the area that it covers."""
    edges = np.arange(SIDE + 1) * 28 / SIDE
    cover = np.minimum(edges[1:, None], np.arange(1, 29)) - np.maximum(edges[:-1, None], np.arange(28))
    cover = np.maximum(cover, 0) * SIDE / 28
    return np.rint(cover @ images @ cover.T)


torch.manual_seed(0)
torch.set_num_threads(1)
labels = read("train-labels-idx1-ubyte.gz", 8)
images = shrink(read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[labels < CLASSES])
x = torch.from_numpy(images / 127.5 - 1).float()[:, None]
y = torch.from_numpy(labels[labels < CLASSES].astype(np.int64))

unet = UNet2DModel(sample_size=SIDE, in_channels=1, out_channels=1, block_out_channels=(12, 24), layers_per_block=1, norm_num_groups=4,
                   down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"), attention_head_dim=8,
                   num_class_embeds=CLASSES)
scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
optimizer = torch.optim.AdamW(unet.parameters(), 2e-3, weight_decay=0)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
for step in range(STEPS):
    rows = torch.randint(len(x), (ROWS,))
    t = torch.randint(len(scheduler), (ROWS,))
    noise = torch.randn(ROWS, 1, SIDE, SIDE)
    out = unet(scheduler.add_noise(x[rows], noise, t), t, class_labels=y[rows]).sample
    loss = F.mse_loss(out, scheduler.get_velocity(x[rows], noise, t))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    optimizer.step()
    decay.step()
    if step % 250 == 0 or step == STEPS - 1:
        print(step, f"{loss.item():.4f}", flush=True)
DDPMPipeline(unet=unet, scheduler=scheduler).save_pretrained(os.path.join(HERE, "model"))
