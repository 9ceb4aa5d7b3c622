"""Makes onnx-ops.json.gz: networks of one operation or a few, in the forms of several opsets, and what ONNX Runtime makes of them.
Some the library would compute wrongly: "refused" is what the error must say.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    cd pkg/metrics && /tmp/venv/bin/python testdata/onnx_ops.py
"""
import base64
import gzip
import json

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
random = np.random.default_rng(0)
cases = []
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def f32(*values):
    return np.array(values, np.float32)


def i64(*values):
    return np.array(values, np.int64)


def values(*shape):
    """The input of the test: some values come several times."""
    i = np.arange(np.prod(shape))
    return ((i * i * 31 + i * 17) // 64 % 256 / 64 - 2).astype(np.float32).reshape(shape)


def case(name, opset, nodes, weights={}, shape=(2, 3, 4, 4), refused="", constants={}, out=FLOAT):
    """A network of nodes from x to y, the rest of whose inputs are weights (initializers) or constants (nodes)."""
    nodes = [node("Constant", [], [k], value=numpy_helper.from_array(v)) for k, v in constants.items()] + nodes
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape)],
                              [helper.make_tensor_value_info("y", out, None)], [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    entry = {"name": f"{name}, opset {opset}", "shape": list(shape), "model": base64.b64encode(model.SerializeToString()).decode()}
    if refused:
        entry["refused"] = refused
    else:
        for n in model.graph.node:  # ONNX Runtime 1.32 dies of outputs without a name
            n.output[:] = [o or "unused" for o in n.output]
        y = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": values(*shape)})[0]
        entry["dims"], entry["y"] = list(y.shape), [float(f"{v:.6g}") for v in y.astype(float).ravel()]
    cases.append(entry)


def one(op, opset, weights={}, inputs=None, name="", refused="", shape=(2, 3, 4, 4), constants={}, outputs=("y",), out=FLOAT, **attributes):
    inputs = ["x", *weights, *constants] if inputs is None else inputs
    case(f"{name or op}", opset, [node(op, inputs, list(outputs), "it", **attributes)], weights, shape, refused, constants, out=out)


# Clip, whose limits were attributes
one("Clip", 7, min=0.0, max=1.0)
one("Clip", 10, max=0.5, name="Clip above")
one("Clip", 11, {"lo": f32(-0.5).reshape(()), "hi": f32(0.5).reshape(())})
one("Clip", 13, {"hi": f32(0.5).reshape(())}, ["x", "", "hi"], name="Clip above")

# Softmax over an axis, and earlier over all that follow
for op in "Softmax", "LogSoftmax":
    one(op, 9)
    one(op, 11, axis=2)
    one(op, 12, axis=-1, name=op + " last")
    one(op, 13)
    one(op, 13, axis=1, name=op + " channels")

# Split
for opset, weights, extra in (11, {}, {"split": [1, 2, 5]}), (13, {"split": i64(1, 2, 5)}, {}):
    case("Split", opset, [node("Split", ["x", *weights], ["a", "b", "c"], axis=1, **extra), node("Concat", ["c", "a", "b"], ["y"], axis=1)], weights, (2, 8))
case("Split equally", 11, [node("Split", ["x"], ["a", "b"], axis=-1), node("Sub", ["a", "b"], ["y"])])
case("Split equally", 18, [node("Split", ["x"], ["a", "b"], axis=2, num_outputs=2), node("Sub", ["a", "b"], ["y"])])
case("Split, unused output", 13, [node("Split", ["x", "s"], ["a", "", "c"], axis=1), node("Clip", ["a", "", "top"], ["b"]), node("Concat", ["b", "c"], ["y"], axis=1)],
     {"s": i64(1, 2, 5), "top": f32(0).reshape(())}, (2, 8))

# Resize
wide, up, down = i64(2, 3, 7, 9), f32(1, 1, 2, 3), i64(2, 3, 2, 3)
for mode in "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric":
    opset = 19 if mode == "half_pixel_symmetric" else 13
    for sizes in wide, down:
        one("Resize", opset, {"s": sizes}, ["x", "", "", "s"], mode="linear", coordinate_transformation_mode=mode, name=f"Resize {mode} to {sizes[2]}")
    one("Resize", opset, {"s": up}, ["x", "", "s"], mode="linear", coordinate_transformation_mode=mode, name=f"Resize {mode} by scales")
for mode in "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric":
    one("Resize", 13, {"s": i64(2, 3, 1, 9)}, ["x", "", "", "s"], mode="linear", coordinate_transformation_mode=mode, name=f"Resize {mode} to a pixel")
    one("Resize", 13, {"s": f32(1, 1, 1.6, 0.6)}, ["x", "", "s"], mode="linear", coordinate_transformation_mode=mode, name=f"Resize {mode} by part")
    for nearest in "floor", "ceil", "round_prefer_floor", "round_prefer_ceil":
        one("Resize", 13, {"s": i64(2, 3, 7, 2)}, ["x", "", "", "s"], coordinate_transformation_mode=mode, nearest_mode=nearest, name=f"Resize {mode} {nearest}")
        one("Resize", 13, {"s": f32(1, 1, 3, 2)}, ["x", "", "s"], coordinate_transformation_mode=mode, nearest_mode=nearest, name=f"Resize {mode} {nearest} by scales")
one("Resize", 13, {"s": f32(1, 1, 1.6, 0.6)}, ["x", "", "s"], name="Resize nearest by part", refused="scales [1 1 1.6")
one("Resize", 19, {"s": f32(1, 1, 1.6, 0.6)}, ["x", "", "s"], mode="linear", coordinate_transformation_mode="half_pixel_symmetric", name="Resize symmetric by part", refused="scales [1 1 1.6")
one("Resize", 13, {"s": i64(2, 6, 4, 4)}, ["x", "", "", "s"], name="Resize of channels", refused="requested size 192")
for mode in "half_pixel", "asymmetric":
    one("Resize", 13, {"s": wide}, ["x", "", "", "s"], mode="cubic", coordinate_transformation_mode=mode, name="Resize cubic " + mode, refused="mode cubic")
one("Resize", 18, {"s": down}, ["x", "", "", "s"], mode="linear", antialias=1, name="Resize antialias", refused="antialias 1")
one("Resize", 18, {"s": i64(7, 9)}, ["x", "", "", "s"], mode="linear", axes=[2, 3], name="Resize axes", refused="axes [2 3]")
one("Resize", 18, {"s": wide}, ["x", "", "", "s"], mode="linear", keep_aspect_ratio_policy="not_larger", name="Resize policy", refused="keep_aspect_ratio_policy not_larger")
one("Resize", 13, {"roi": f32(0, 0, 0, 0, 1, 1, 1, 1), "s": wide}, ["x", "roi", "", "s"], mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
    name="Resize crop", refused="tf_crop_and_resize")
one("Resize", 11, {"roi": f32(), "s": up}, ["x", "roi", "s"], mode="linear", name="Resize empty roi")
for mode in "nearest", "linear":
    one("Resize", 10, {"s": up}, mode=mode, name="Resize " + mode)
    one("Upsample", 9, {"s": up}, mode=mode, name="Upsample " + mode)
    one("Upsample", 7, mode=mode, scales=[1.0, 1.0, 2.0, 3.0], name="Upsample " + mode)

# As PyTorch writes interpolate(size=(7, 9)): the first sizes are of the input.
case("Resize as PyTorch", 13, [node("Shape", ["x"], ["d"]), node("Slice", ["d", "zero", "two", "zero"], ["nc"]), node("Concat", ["nc", "hw"], ["s"], axis=0),
                               node("Resize", ["x", "", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")],
     {"zero": i64(0), "two": i64(2)}, constants={"hw": i64(7, 9)})

# Gelu
one("Gelu", 20)
one("Gelu", 20, approximate="tanh", name="Gelu tanh")
case("MatMul, Gelu tanh", 20, [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "b"], ["c"]), node("Gelu", ["c"], ["y"], approximate="tanh")],
     {"w": floats(8, 3), "b": floats(3)}, (2, 8))

# Largest and smallest: of equal values the first
for op in "ArgMax", "ArgMin":
    case(op, 13, [node(op, ["x"], ["i"], axis=1), node("Cast", ["i"], ["y"], to=FLOAT)], shape=(2, 8))
    case(op + " of equals", 13, [node("Floor", ["x"], ["f"]), node(op, ["f"], ["i"], axis=-1, keepdims=0), node("Cast", ["i"], ["y"], to=FLOAT)])
    case(op + " last", 12, [node(op, ["x"], ["i"], axis=1, select_last_index=1), node("Cast", ["i"], ["y"], to=FLOAT)], shape=(2, 8), refused="select_last_index 1")
case("TopK", 9, [node("TopK", ["x"], ["y", "i"], k=3)], shape=(2, 8))
case("TopK", 11, [node("TopK", ["x", "k"], ["y", "i"], axis=1, largest=0)], {"k": i64(2)})
case("TopK of equals", 11, [node("Floor", ["x"], ["f"]), node("TopK", ["f", "k"], ["v", "i"]), node("Cast", ["i"], ["y"], to=FLOAT)], {"k": i64(3)})

# Slice
one("Slice", 9, starts=[1, 0], ends=[-1, 3], axes=[2, 3])
one("Slice", 9, starts=[1], ends=[9], name="Slice first axis")
for name, start, end, axis, step in [("back", 2, -9, 1, -1), ("reversed", -1, -100, 1, -1), ("reversed to the least", -1, -(2 ** 63), -1, -1), ("back by two", 6, 0, 1, -2),
                                     ("back from beyond", 99, 2, 1, -3), ("forth by three", 1, 2 ** 63 - 1, 1, 3), ("back, one value", 0, -9, -1, -1)]:
    one("Slice", 13, {"starts": i64(start), "ends": i64(end), "axes": i64(axis), "steps": i64(step)}, name="Slice " + name, shape=(2, 8))
one("Slice", 13, constants={"starts": i64(-1, 1), "ends": i64(-100, 4), "axes": i64(3, 2), "steps": i64(-1, 2)}, name="Slice of two axes")
one("Slice", 10, {"starts": i64(-1, 1), "ends": i64(-100, 3), "steps": i64(-1, 1)}, ["x", "starts", "ends", "", "steps"], name="Slice without axes")
one("Slice", 11, {"starts": i64(1, 1), "ends": i64(2, 3)}, name="Slice of the first axes")

# Pad
one("Pad", 10, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5)
one("Pad", 10, pads=[0, 0, 1, 2, 0, 0, 0, 1], mode="reflect", name="Pad reflect")
one("Pad", 13, {"p": i64(0, 0, 1, 2, 0, 0, 0, 1), "v": f32(0.5).reshape(())})
one("Pad", 13, {"p": i64(0, 0, -1, 2, 0, 0, 0, -1)}, name="Pad less", refused="pads [0 0 -1 2")
one("Pad", 13, {"p": i64(0, 0, -1, 2, 0, 0, 0, 1)}, name="Pad reflect less", mode="reflect", refused="pads [0 0 -1 2")
one("Pad", 13, {"p": i64(0, 0, 1, 2, 0, 0, 0, 1)}, name="Pad edge", mode="edge", refused="mode edge")
one("Pad", 18, {"p": i64(1, 2, 0, 1), "v": f32(0.5).reshape(()), "a": i64(2, -1)}, name="Pad axes")
one("Pad", 18, {"p": i64(1, 2, 0, 1), "a": i64(2, 3)}, ["x", "p", "", "a"], name="Pad axes reflect", mode="reflect")

# Convolutions and pools
w, b = floats(4, 3, 3, 3), floats(4)
one("Conv", 11, {"w": w, "b": b}, auto_pad="VALID", strides=[1, 1], name="Conv VALID")
one("Conv", 11, {"w": w}, pads=[1, 2, 0, 1], dilations=[1, 1], strides=[2, 1], kernel_shape=[3, 3])
one("Conv", 11, {"w": w}, pads=[1, 2, 0, 1], dilations=[2, 1], strides=[1, 1], name="Conv dilated")
one("Conv", 11, {"w": w}, pads=[1, 2, 0, 1], dilations=[2, 1], strides=[2, 1], name="Conv dilated with strides", refused="both strides and dilations")
one("Conv", 22, {"w": floats(6, 1, 3, 3), "b": floats(6)}, group=3, name="Conv in groups")
one("Conv", 11, {"w": w}, auto_pad="SAME_UPPER", name="Conv SAME", refused="auto_pad SAME_UPPER")
one("MaxPool", 12, kernel_shape=[2, 3], strides=[1, 2], pads=[1, 1, 0, 1])
one("MaxPool", 8, kernel_shape=[3, 3], strides=[1, 1], auto_pad="VALID", name="MaxPool VALID")
one("MaxPool", 12, kernel_shape=[2, 2], dilations=[2, 2], name="MaxPool dilated", refused="dilations")
case("MaxPool indices", 12, [node("MaxPool", ["x"], ["m", "i"], kernel_shape=[2, 2]), node("Cast", ["i"], ["y"], to=FLOAT)], refused="output 1")
one("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
one("AveragePool", 11, kernel_shape=[3, 3], pads=[1, 1, 0, 1], count_include_pad=1, name="AveragePool counting")
one("AveragePool", 19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, name="AveragePool ceil")
one("GlobalAveragePool", 7)
one("GlobalMaxPool", 7)

# Normalisation
norm = {"s": floats(3), "b": floats(3), "m": floats(3), "v": np.abs(floats(3)) + 0.5}
one("BatchNormalization", 7, norm, momentum=0.5, spatial=1, epsilon=1e-2)
one("BatchNormalization", 7, {k: np.repeat(v, 16).reshape(3, 4, 4) for k, v in norm.items()}, spatial=0, name="BatchNormalization of pixels", refused="spatial 0")
one("BatchNormalization", 15, norm, momentum=0.5)
one("BatchNormalization", 15, norm, training_mode=1, outputs=("y", "mm", "vv"), name="BatchNormalization training", refused="training_mode 1")
one("InstanceNormalization", 7, {"s": floats(3), "b": floats(3)}, epsilon=1e-3)
one("LayerNormalization", 17, {"s": floats(4), "b": floats(4)}, epsilon=1e-3)
one("LayerNormalization", 17, {"s": floats(3, 4, 4)}, axis=1, name="LayerNormalization of images")
one("Dropout", 7, ratio=0.3)
one("Dropout", 12, {"r": f32(0.3).reshape(())})
one("Dropout", 12, {"r": f32(0.3).reshape(()), "t": np.array(True)}, name="Dropout training", refused="training_mode")

# Activations
one("Elu", 7, alpha=0.7)
one("Softplus", 7)
one("HardSigmoid", 7, alpha=0.3)
one("LeakyRelu", 7, alpha=0.1)
one("HardSwish", 14)
one("PRelu", 9, {"slope": floats(3, 1, 1)})
for op in "Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Exp", "Floor", "Ceil", "Identity", "Sin", "Cos":
    one(op, 13)
for op in "Erf", "Sign":
    one(op, 9)
case("Sqrt, Log, Reciprocal", 13, [node("Exp", ["x"], ["e"]), node("Sqrt", ["e"], ["s"]), node("Reciprocal", ["s"], ["r"]), node("Log", ["r"], ["y"])])

# Arithmetic
w = floats(3, 1, 4)
for op in "Add", "Sub", "Mul", "Div":
    one(op, 7, {"w": w})
for op in "Max", "Min":
    one(op, 8, {"w": w, "v": floats(4, 1)})
for op in "Sum", "Mean":
    one(op, 8, {"w": w, "v": floats(4, 1)})
one("Sum", 8, name="Sum of one")
for e in 2, 1, 0.5, -1, -0.5, -2, 3:
    case(f"Pow {e}", 13, [node("Abs", ["x"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Pow", ["b", "e"], ["y"])], {"one": f32(1).reshape(())}, constants={"e": f32(e).reshape(())}, shape=(2, 8))
one("Mod", 10, {"w": f32(0.7).reshape(())}, fmod=1)
case("Mod of whole numbers", 10, [node("Cast", ["x"], ["i"], to=INT), node("Mod", ["i", "three"], ["m"]), node("Cast", ["m"], ["y"], to=FLOAT)], {"three": i64(-3)})
for op in "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal":
    case(op, 13, [node("Floor", ["x"], ["f"]), node(op, ["f", "zero"], ["c"]), node("Where", ["c", "x", "w"], ["y"])], {"zero": f32(0).reshape(()), "w": w})
for op in "And", "Or", "Xor":
    case(op, 13, [node("Less", ["x", "zero"], ["a"]), node("Cast", ["w"], ["b"], to=TensorProto.BOOL), node(op, ["a", "b"], ["c"]), node("Not", ["c"], ["d"]), node("Cast", ["d"], ["y"], to=FLOAT)],
         {"zero": f32(0).reshape(()), "w": f32(0, 0.3, -2, 0)})
case("IsNaN", 13, [node("Log", ["x"], ["l"]), node("IsNaN", ["l"], ["n"]), node("Where", ["n", "x", "l"], ["z"]), node("Max", ["z", "low"], ["y"])], {"low": f32(-9).reshape(())})
one("MatMul", 13, {"w": floats(3, 4, 2)})
one("Gemm", 13, {"w": floats(3, 8), "b": floats(3)}, transB=1, alpha=0.5, beta=2.0, shape=(2, 8))
one("Gemm", 11, {"w": floats(2, 3)}, transA=1, name="Gemm of two", shape=(2, 8))
one("Einsum", 12, {"w": floats(4, 5)}, equation="nchw,wk->nckh")
one("Einsum", 12, {"w": floats(4, 5)}, equation="...w,wk", name="Einsum of dots", refused="equation")
for op in "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL2":
    one(op, 11, axes=[2, -1], keepdims=0)
    one(op, 18, {"a": i64(1)}, noop_with_empty_axes=0)
    one(op, 13, name=op + " of all", keepdims=1)
one("ReduceSum", 13, noop_with_empty_axes=1, name="ReduceSum of none")

# Shapes
one("Transpose", 13, perm=[0, 2, 3, 1])
one("Transpose", 13, name="Transpose of all")
one("Flatten", 9)
one("Flatten", 11, axis=-2, name="Flatten from behind")
one("Flatten", 11, axis=0, name="Flatten all")
one("Concat", 11, {"w": floats(2, 2, 4, 4)}, axis=-3)
one("Reshape", 13, {"s": i64(0, -1)})
one("Reshape", 14, {"s": i64(0, 4, -1)}, allowzero=0, name="Reshape of three")
one("Reshape", 14, {"s": i64(2, 48)}, allowzero=1, name="Reshape allowzero")
case("Squeeze, Unsqueeze", 11, [node("ReduceMean", ["x"], ["m"], axes=[2]), node("Squeeze", ["m"], ["s"], axes=[-2]), node("Unsqueeze", ["s"], ["y"], axes=[3, 0])])
case("Squeeze, Unsqueeze", 13, [node("ReduceMean", ["x"], ["m"], axes=[2]), node("Squeeze", ["m"], ["s"]), node("Unsqueeze", ["s", "a"], ["y"])], {"a": i64(-1, 1)})
case("Shape", 15, [node("Shape", ["x"], ["d"], start=1, end=-1), node("Cast", ["d"], ["y"], to=FLOAT)])
case("Shape of none", 15, [node("Shape", ["x"], ["d"], end=0), node("Cast", ["d"], ["y"], to=FLOAT)], refused="end 0")
case("Size", 13, [node("Size", ["x"], ["d"]), node("Cast", ["d"], ["y"], to=FLOAT)])
one("Expand", 13, {"s": i64(3, 1, 1)}, shape=(2, 1, 1, 4))
one("Tile", 13, {"r": i64(1, 2, 1, 3)})
case("Range, Trilu", 14, [node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["s"]), node("Trilu", ["s", "k"], ["y"], upper=0)],
     {"a": f32(1).reshape(()), "b": f32(9).reshape(()), "c": f32(2).reshape(()), "k": i64(1).reshape(())})
one("CumSum", 14, {"a": np.array(2, np.int64)}, exclusive=1, reverse=1)
case("ConstantOfShape", 9, [node("Shape", ["x"], ["d"]), node("ConstantOfShape", ["d"], ["c"], value=numpy_helper.from_array(f32(0.5))), node("Add", ["x", "c"], ["y"])])
one("Gather", 13, {"i": i64(-1, 0)}, axis=1)
one("GatherElements", 13, {"i": i64(1, 0, -1, 3).reshape(1, 1, 1, 4).repeat(3, 1).repeat(2, 0).repeat(4, 2)}, axis=3)
case("NonZero", 13, [node("NonZero", ["w"], ["i"]), node("Cast", ["i"], ["y"], to=FLOAT)], {"w": f32(0, 2, 0, -1)})
case("Cast", 13, [node("Mul", ["x", "c"], ["a"]), node("Cast", ["a"], ["i"], to=TensorProto.INT32), node("Cast", ["i"], ["y"], to=FLOAT)], {"c": f32(1.7).reshape(())})
case("Constants", 13, [node("Constant", [], ["a"], value_float=0.5), node("Constant", [], ["b"], value_ints=[2, -1]), node("Constant", [], ["c"], value_floats=[0.1] * 4),
                       node("Constant", [], ["d"], value_int=3), node("Add", ["x", "a"], ["e"]), node("Add", ["e", "c"], ["f"]), node("Cast", ["d"], ["g"], to=FLOAT),
                       node("Mul", ["f", "g"], ["h"]), node("Reshape", ["h", "b"], ["y"])])
# Sizes that are computed from weights
case("Sizes of weights", 13, [node("Shape", ["x"], ["d"]), node("Cast", ["d"], ["f"], to=FLOAT), node("Mul", ["f", "k"], ["m"]), node("Cast", ["m"], ["s"], to=INT),
                              node("Resize", ["x", "", "", "s"], ["y"], mode="linear")], {"k": f32(1, 1, 2, 1.5)})

# What is not of the standard, or too old or new
case("another domain", 13, [node("Relu", ["x"], ["y"], domain="com.microsoft")], refused="domain com.microsoft")
case("old", 6, [node("Relu", ["x"], ["y"])], refused="opset 6")
case("new", 99, [node("Relu", ["x"], ["y"])], refused="opset 99")
case("unknown attribute", 13, [node("Relu", ["x"], ["y"], slope=0.5)], refused="slope")
case("inputs too many", 13, [node("Relu", ["x", "x"], ["y"])], refused="2 inputs")

with open("testdata/onnx-ops.json.gz", "wb") as f:
    f.write(gzip.compress(json.dumps(cases).encode(), mtime=0))
