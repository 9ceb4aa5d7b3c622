# Writes small networks with pools as both of PyTorch's exporters do, and their features of the images of the test.
import torch, json, numpy as np, onnx, os, sys, base64
out = sys.argv[1]
class Net(torch.nn.Module):
    """A stem as ResNet's, a pool as VGG's, one as GoogLeNet's with ceil_mode, and an average that counts padding as Inception's."""
    def __init__(self):
        super().__init__()
        n = torch.nn
        self.stem = n.Sequential(n.Conv2d(3, 6, 3, padding=1, bias=False), n.BatchNorm2d(6, momentum=0.01), n.ReLU(), n.MaxPool2d(3, 2, 1),
            n.Conv2d(6, 6, 3, padding=1), n.ReLU(), n.MaxPool2d(2, 2))
        self.left, self.right = n.AvgPool2d(3, 1, 1), n.Sequential(n.MaxPool2d(3, 1, 1), n.Conv2d(6, 6, 1))
        self.last = n.Sequential(n.MaxPool2d(3, 2, ceil_mode=True), n.AvgPool2d(2, 1, ceil_mode=True), n.AdaptiveAvgPool2d(1), n.Flatten())
    def forward(self, x):
        x = self.stem(x)
        return self.last(torch.cat([self.left(x), self.right(x)], 1))
torch.manual_seed(0)
net = Net().eval()
with torch.no_grad():
    for p in net.parameters(): p.mul_(2)
    net.stem[1].running_mean.normal_(); net.stem[1].running_var.uniform_(0.5, 2)
i = np.arange(2 * 24 * 24 * 3)
px = ((i * i * 31 + i * 17) // 64 % 256).reshape(2, 24, 24, 3)
x = torch.tensor(px / 255, dtype=torch.float32).permute(0, 3, 1, 2)
json.dump(net(x).tolist(), open(os.path.join(out, "onnx-pools.json"), "w"))
for name, dynamo in ("script", False), ("dynamo", True):
    path = os.path.join(out, f"onnx-pools-{name}.onnx")
    torch.onnx.export(net, (x,), path, dynamo=dynamo, input_names=["images"], output_names=["features"], external_data=False) if dynamo else \
        torch.onnx.export(net, (x,), path, dynamo=False, input_names=["images"], output_names=["features"])
    json.dump({"colours": "rgb", "range": [0, 1]}, open(os.path.join(out, f"onnx-pools-{name}.json"), "w"))
    model = onnx.load(path)
    for said in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del said.metadata_props[:]  # where the exporter's source lay
        said.doc_string = ""
    onnx.save(model, path)
