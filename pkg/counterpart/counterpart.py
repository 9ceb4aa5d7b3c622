"""What diffusers and TensorBoard themselves make of our files, and files that they make for us. Called by package counterpart.

    counterpart.py forms DIR   a tiny random model of every supported form below DIR, with inputs, outputs and DDIM samples
    counterpart.py run DIR     loads the model in DIR, reads in.safetensors there and writes out.safetensors
    counterpart.py features FILE.npz  prints as JSON FID by torch-fidelity, and precision, recall, density, coverage by prdc
    counterpart.py events DIR  prints as JSON what TensorBoard reads from the event files in DIR
"""
import json
import os
import sys


def denoise(unet, x, t, y):
    """The model's output, [B, 2C or C, H, W]."""
    import torch
    labels = {} if unet.config.num_class_embeds is None else {"class_labels": y}
    with torch.no_grad():
        return unet(x, t, **labels).sample


def ddim(unet, folder, noise, y, steps):
    """Deterministic DDIM from the given noise, as our model cards have it."""
    import torch
    from diffusers import DDIMScheduler
    scheduler = DDIMScheduler.from_pretrained(folder, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    x = noise.clone()
    for t in scheduler.timesteps:
        out = denoise(unet, x, torch.full((len(x),), int(t), dtype=torch.long), y)[:, : x.shape[1]]
        x = scheduler.step(out, t, x, use_clipped_model_output=True).prev_sample
    return x


def euler(unet, folder, noise, y, steps):
    """Euler's method along a flow, as our model cards have it: the network counts timesteps from one less."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 0, steps + 1)[:-1].tolist())
    x = noise.clone()
    for t in scheduler.timesteps:
        x = scheduler.step(denoise(unet, x, (t - 1).expand(len(x)), y), t, x).prev_sample
    return x


def run(unet, folder, io):
    """Adds to io what the model makes of its inputs."""
    with open(os.path.join(folder, "scheduler_config.json")) as f:
        draw = euler if json.load(f)["_class_name"].startswith("FlowMatch") else ddim
    io["out"] = denoise(unet, io["x"], io["t"], io["y"]).contiguous()
    io["images"] = draw(unet, folder, io["noise"], io["y"], int(io["steps"])).contiguous()
    return io


def forms(where):
    import torch
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
    from safetensors.torch import load_file, save_file
    own = dict(freq_shift=1, flip_sin_to_cos=False, norm_eps=1e-6, downsample_padding=0)
    common = dict(sample_size=8, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2)
    attn = dict(down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    plain = dict(down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"))
    every = {
        # DDPM's own, as google/ddpm-cifar10-32 has it, with the old names of attention's weights.
        "ddpm_old_keys": (dict(own, **common, **attn, attention_head_dim=None),
                          DDPMScheduler(num_train_timesteps=100, variance_type="fixed_large")),
        # What diffusers makes where nothing is said, with classes.
        "defaults": (dict(common, **attn, in_channels=1, out_channels=1, num_class_embeds=4, attention_head_dim=4),
                     DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")),
        "scale_shift_learned": (dict(common, **attn, out_channels=6, num_class_embeds=3, attention_head_dim=2, resnet_time_scale_shift="scale_shift"),
                                DDPMScheduler(num_train_timesteps=100, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, variance_type="learned_range")),
        "scale_shift_norm": (dict(common, **plain, in_channels=1, out_channels=1, resnet_time_scale_shift="scale_shift", attn_norm_num_groups=2),
                             DDIMScheduler(num_train_timesteps=60, beta_start=0.001, beta_end=0.1, prediction_type="sample")),
        "no_attention": (dict(common, **plain, in_channels=1, out_channels=1, add_attention=False, norm_eps=1e-3),
                         DDPMScheduler(num_train_timesteps=50, trained_betas=DDPMScheduler(num_train_timesteps=50, beta_schedule="squaredcos_cap_v2").betas.tolist())),
    }
    for i, (name, (settings, scheduler)) in enumerate(every.items()):
        torch.manual_seed(i)
        unet = UNet2DModel(**settings).eval()
        with torch.no_grad():
            for p in unet.parameters():  # no gain that is 1, no bias that is 0
                p.add_(0.1 * torch.randn_like(p))
        folder = os.path.join(where, name)
        unet.save_pretrained(os.path.join(folder, "unet"))
        # Where timesteps are visited matters to samplers alone.
        type(scheduler).from_config(scheduler.config, timestep_spacing="trailing").save_pretrained(os.path.join(folder, "scheduler"))
        shape = (2, settings.get("in_channels", 3), 8, 8)
        classes = settings.get("num_class_embeds", 1)
        io = {"x": torch.randn(shape), "t": torch.tensor([3, 40]), "y": torch.tensor([0, classes - 1]), "noise": torch.randn(shape), "steps": torch.tensor(10)}
        save_file(run(unet, os.path.join(folder, "scheduler"), io), os.path.join(folder, "io.safetensors"))
        if name.endswith("old_keys"):
            path = os.path.join(folder, "unet", "diffusion_pytorch_model.safetensors")
            weights = load_file(path)
            for new, old in ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")):
                weights = {k.replace(new, old): v for k, v in weights.items()}
            save_file(weights, path, metadata={"format": "pt"})
            again = denoise(UNet2DModel.from_pretrained(os.path.join(folder, "unet")).eval(), io["x"], io["t"], io["y"])
            if not torch.equal(again, io["out"]):
                sys.exit("diffusers reads the old names of attention's weights otherwise")


def main():
    what, where = sys.argv[1:]
    if what == "forms":
        forms(where)
    elif what == "run":
        from diffusers import DiffusionPipeline, UNet2DModel
        from safetensors.torch import load_file, save_file
        if os.path.exists(os.path.join(where, "model_index.json")):  # all but flows
            DiffusionPipeline.from_pretrained(where)  # the folder as a whole
        unet = UNet2DModel.from_pretrained(where, subfolder="unet").eval()
        io = run(unet, os.path.join(where, "scheduler"), load_file(os.path.join(where, "in.safetensors")))
        save_file(io, os.path.join(where, "out.safetensors"))
    elif what == "features":
        import contextlib

        import numpy
        import torch
        from prdc import compute_prdc
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
        with numpy.load(where) as f:
            real, samples = f["reference"], f["samples"]
        stats = [fid_features_to_statistics(torch.from_numpy(x.astype("float64"))) for x in (real, samples)]
        seen = {"fid": fid_statistics_to_metric(*stats, verbose=False)[KEY_METRIC_FID]}
        with contextlib.redirect_stdout(sys.stderr):
            seen.update({k: float(v) for k, v in compute_prdc(real, samples, nearest_k=5).items()})
        json.dump(seen, sys.stdout)
    elif what == "events":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import plugin_data_pb2
        events = EventAccumulator(where, size_guidance={"scalars": 0, "images": 0, "tensors": 0})
        events.Reload()
        tags = events.Tags()
        seen = {"scalars": {}, "images": {}, "texts": {}, "hparams": {}, "start": events.FirstEventTimestamp()}
        for tag in tags["scalars"]:
            seen["scalars"][tag] = [[e.step, e.wall_time, e.value] for e in events.Scalars(tag)]
        for tag in tags["images"]:
            seen["images"][tag] = [[e.step, e.width, e.height] for e in events.Images(tag)]
        for tag in tags["tensors"]:
            if events.SummaryMetadata(tag).plugin_data.plugin_name == "text":
                seen["texts"][tag] = [e.tensor_proto.string_val[0].decode() for e in events.Tensors(tag)]
        for content in events.PluginTagToContent("hparams").values():
            for k, v in plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams.items():
                seen["hparams"][k] = getattr(v, v.WhichOneof("kind"))
        json.dump(seen, sys.stdout)
    else:
        sys.exit(__doc__)


main()
