"""What onnx_pools.py and onnx_activations.py share: the images of the test, and a network as both of PyTorch's exporters write it."""
import json
import os

import numpy as np
import onnx
import torch


def images():
    i = np.arange(2 * 24 * 24 * 3)
    px = ((i * i * 31 + i * 17) // 64 % 256).reshape(2, 24, 24, 3)
    return torch.tensor(px / 255, dtype=torch.float32).permute(0, 3, 1, 2)


def write(net, of, out):
    """Writes onnx-OF.json, the features of the images, and the network with its description for each exporter."""
    x = images()
    json.dump(net(x).flatten(1).tolist(), open(os.path.join(out, f"onnx-{of}.json"), "w"))
    for name, dynamo in ("script", False), ("dynamo", True):
        path = os.path.join(out, f"onnx-{of}-{name}.onnx")
        extra = {"external_data": False} if dynamo else {}
        torch.onnx.export(net, (x,), path, dynamo=dynamo, input_names=["images"], output_names=["features"], **extra)
        json.dump({"colours": "rgb", "range": [0, 1]}, open(os.path.join(out, f"onnx-{of}-{name}.json"), "w"))
        model = onnx.load(path)
        for said in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
            del said.metadata_props[:]  # where the exporter's source lay
            said.doc_string = ""
        onnx.save(model, path)
