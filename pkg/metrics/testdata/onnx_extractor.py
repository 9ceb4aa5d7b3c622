"""Makes onnx-nchw.onnx, onnx-nhwc.onnx, their descriptions and onnx.json: two small networks from images to features with
random weights, and what ONNX's reference evaluator makes of some images.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx==1.23.2 numpy==2.4.6
    cd pkg/metrics && /tmp/venv/bin/python testdata/onnx_extractor.py
"""
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

random = np.random.default_rng(0)


def weights(name, *shape):
    return numpy_helper.from_array((random.standard_normal(shape) * 0.4).astype(np.float32), name)


def make(name, shape, nodes, initializers):
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 6])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"testdata/{name}.onnx")
    return ReferenceEvaluator(model)


def body(x):
    """Convolutions, normalisation, pooling and a linear layer, of NCHW."""
    node = helper.make_node
    return [
        node("Conv", [x, "w1", "b1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "scale", "bias", "mean", "var"], ["n1"], epsilon=1e-3),
        node("Relu", ["n1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[1, 1]),
        node("Conv", ["p1", "w2"], ["c2"], kernel_shape=[3, 3], group=2),
        node("Sigmoid", ["c2"], ["s2"]),
        node("Mul", ["c2", "s2"], ["m2"]),
        node("GlobalAveragePool", ["m2"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["features"], transB=1),
    ]


def values():
    positive = numpy_helper.from_array((random.random(4) + 0.5).astype(np.float32), "var")
    return [weights("w1", 4, 3, 3, 3), weights("b1", 4), weights("scale", 4), weights("bias", 4), weights("mean", 4), positive,
            weights("w2", 4, 2, 3, 3), weights("w3", 6, 4), weights("b3", 6)]


def describe(name, what):
    with open(f"testdata/{name}.json", "w") as f:
        json.dump(what, f, indent=1)
        f.write("\n")


nchw = make("onnx-nchw", ["n", 3, 10, 8], body("images"), values())
describe("onnx-nchw", {"colours": "rgb", "range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]})
nhwc = make("onnx-nhwc", ["n", "h", "w", 3],
            [helper.make_node("Transpose", ["images"], ["x"], perm=[0, 3, 1, 2])] + body("x"), values())
describe("onnx-nhwc", {"colours": "bgr", "range": [-2, 1], "height": 10, "width": 8})

# Images of 20x16 in 256 levels, which the networks see at 10x8: means of 2x2 pixels, rounded half up.
n, h, w, c = 5, 20, 16, 3
pixels = (np.arange(n * h * w * c) ** 2 * 31 + np.arange(n * h * w * c) * 17) // 64 % 256
pixels = pixels.reshape(n, h, w, c)
small = (pixels.reshape(n, h // 2, 2, w // 2, 2, c).sum((2, 4)) + 2) // 4
rgb = small / 255
normal = ((rgb - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])).transpose(0, 3, 1, 2)
bgr = rgb[..., ::-1] * 3 - 2
with open("testdata/onnx.json", "w") as f:
    json.dump({
        "shape": [n, h, w, c],
        "onnx-nchw": nchw.run(None, {"images": normal.astype(np.float32)})[0].astype(float).tolist(),
        "onnx-nhwc": nhwc.run(None, {"images": bgr.astype(np.float32)})[0].astype(float).tolist(),
    }, f, indent=1)
    f.write("\n")
