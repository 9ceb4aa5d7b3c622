"""What the peers share: the conversation with `go run . perf`, the check that they are the same network, and the order of weights.

A line of JSON on standard input says the task (perf.Task). The answer is a line that says it is ready, or what is wrong. From
then on every line asks for some calls of the task, and is answered by the seconds they took, by the clock and by the processor,
and by the most memory the process has held. Standard output is for answers alone.
"""

import json
import os
import resource
import sys
import time

import numpy as np


def serve(make):
    """Answers one task. make(task) returns a peer with: versions, parameters(), load(flat weights), output(x, t, y), call()."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        task = json.loads(sys.stdin.readline())
        start = time.perf_counter()
        peer = make(task)
        difference = check(peer, task)
        peer.call()  # compiles
        prepared = time.perf_counter() - start
        start = time.perf_counter()
        peer.call()
        say({"parameters": peer.parameters(), "difference": difference, "prepare": prepared,
             "call": time.perf_counter() - start, "versions": peer.versions, "peak": peak()})
        for line in sys.stdin:
            calls = json.loads(line)["calls"]
            wall, cpu = time.perf_counter(), processor()
            for _ in range(calls):
                peer.call()
            say({"wall": time.perf_counter() - wall, "cpu": processor() - cpu, "peak": peak()})
    except Exception as e:  # told to the one who asked, in one line
        say({"error": f"{type(e).__name__}: {e}", "other": isinstance(e, OtherNetwork)})
        sys.exit(1)


class OtherNetwork(Exception):
    """The peer does not do the same work."""


def check(peer, task):
    """Refuses a peer whose output is not ours at the same weights, images, timesteps and labels; returns how far it is."""
    def read(name):
        return np.fromfile(os.path.join(task["example"], name), dtype=np.float32)

    with open(os.path.join(task["example"], "example.json")) as f:
        example = json.load(f)
    weights = read("weights.f32")
    if len(weights) != peer.parameters():
        raise OtherNetwork(f"{peer.parameters()} parameters, the network that is compared has {len(weights)}")
    peer.load(weights)
    c = sizes(task)
    x = read("x.f32").reshape(-1, c["height"], c["width"], c["channels"])
    got = peer.output(x, np.array(example["t"], np.int32), np.array(example["y"], np.int32))
    want = read("output.f32").reshape(got.shape)
    error = float(np.abs(got - want).max() / np.abs(want).max())
    if not error < 1e-3:  # float32 through all layers; another padding or epsilon would be far above
        raise OtherNetwork(f"outputs at the same weights that differ by {error:.2g} of the largest")
    return error


def fill(slots, weights):
    """Hands every slot its values: slots are (path, shape, take), and weights lie in the order of the paths."""
    first = 0
    for path, shape, take in sorted(slots, key=lambda s: s[0]):
        size = int(np.prod(shape))
        take(weights[first:first + size].reshape(shape))
        first += size
    if first != len(weights):
        raise OtherNetwork(f"{first} places for {len(weights)} weights")


def sizes(task):
    """The network's own, with height and width of its images."""
    if "dit" in task:
        return task["dit"]
    c = task["unet"]
    return {**c, "height": c["image_size"], "width": c.get("width") or c["image_size"]}


def attends(network, side):
    return side in (network["attention"] or [])


def frequencies(base):
    half = base // 2
    return np.exp(-np.log(10000) * np.arange(half) / (half - 1)).astype(np.float32)


def dit_frequencies():
    return np.exp(-np.log(10000) * np.arange(128) / 128).astype(np.float32)


def dit_positions(c):
    """[patches, hidden], in the order of rows: sines and cosines of a patch's column, then of its row."""
    def one(at):
        angle = np.outer(at.ravel(), 10000.0 ** (-np.arange(c["hidden"] // 4) / (c["hidden"] // 4)))
        return [np.sin(angle), np.cos(angle)]

    rows, columns = np.indices((c["height"] // c["patch"], c["width"] // c["patch"]))
    return np.concatenate(one(columns) + one(rows), 1).astype(np.float32)


def processor():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak():
    """Bytes, of this process or the largest it started; ru_maxrss of this one would begin with what it was forked from."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    try:
        with open("/proc/self/status") as f:
            return max(children, next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
