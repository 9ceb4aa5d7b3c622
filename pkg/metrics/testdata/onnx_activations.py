# Writes a small network with MobileNet's HardSigmoid, a LeakyReLU and pooled maps [N, D, 1, 1] as both of PyTorch's exporters do, and its
# features of the images of the test.
import torch, json, numpy as np, onnx, os, sys
out = sys.argv[1]
torch.manual_seed(0)
n = torch.nn
net = n.Sequential(n.Conv2d(3, 6, 3, padding=1), n.Hardsigmoid(), n.Conv2d(6, 5, 3, padding=1), n.LeakyReLU(0.2), n.Conv2d(5, 5, 1), n.LeakyReLU(), n.AdaptiveAvgPool2d(1)).eval()
with torch.no_grad():
    for p in net.parameters(): p.mul_(4)
i = np.arange(2 * 24 * 24 * 3)
px = ((i * i * 31 + i * 17) // 64 % 256).reshape(2, 24, 24, 3)
x = torch.tensor(px / 255, dtype=torch.float32).permute(0, 3, 1, 2)
json.dump(net(x).flatten(1).tolist(), open(os.path.join(out, "onnx-activations.json"), "w"))
for name, dynamo in ("script", False), ("dynamo", True):
    path = os.path.join(out, f"onnx-activations-{name}.onnx")
    extra = {"external_data": False} if dynamo else {}
    torch.onnx.export(net, (x,), path, dynamo=dynamo, input_names=["images"], output_names=["features"], **extra)
    json.dump({"colours": "rgb", "range": [0, 1]}, open(os.path.join(out, f"onnx-activations-{name}.json"), "w"))
    model = onnx.load(path)
    for said in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del said.metadata_props[:]  # where the exporter's source lay
        said.doc_string = ""
    onnx.save(model, path)
