"""Graphs of many kinds in half precision, of fixed size and in one file: they pass ONNX's own checker, their inputs and outputs
are what they were, and ONNX Runtime says the same of both, apart from Marquetry."""

import json
import subprocess

import numpy as np
import onnx
import onnxruntime
from case import BINARY, check, done, folder
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

place = folder("half_precision")
random = np.random.default_rng(3)
rows, columns = np.mgrid[0:90, 0:120]
for image in range(3):
    waves = [128 + 90 * np.sin(columns / (6 + image + c)) * np.cos(rows / (9 - c)) for c in range(3)]
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(place / f"images/{image}.png")
(place / "job.yaml").write_text(
    "version: 1\nimages: images\nclasses: [a, b, c]\nmembers: [{onnx: none.onnx}]\n"
    "defaults: {window: {size: 64, overlap: 0}}\noutputs: [{masks: png}]\n"
)


class Net:
    """A graph that is written node by node."""

    def __init__(self, opset=17):
        self.nodes, self.tensors, self.opset, self.count = [], [], opset, 0

    def tensor(self, values, kind=np.float32):
        self.count += 1
        self.tensors.append(numpy_helper.from_array(np.asarray(values, kind), f"w{self.count}"))
        return f"w{self.count}"

    def __call__(self, operator, *inputs, outputs=1, **settings):
        self.count += 1
        names = [f"{operator}_{self.count}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"{operator}_{self.count}", **settings))
        return names[0] if outputs == 1 else names

    def conv(self, x, into, out, side=3, group=1, norm=False, transposed=False):
        shape = (into, out // group, side, side) if transposed else (out, into // group, side, side)
        weight = self.tensor(random.normal(0, np.sqrt(2 * group / into) / side, shape))
        operator = "ConvTranspose" if transposed else "Conv"
        x = self(operator, x, weight, self.tensor(random.normal(0, 0.1, out)), pads=[side // 2] * 4, group=group)
        if norm:
            numbers = [random.uniform(0.5, 1.5, out), *random.normal(0, 0.2, (2, out)), random.uniform(0.5, 2, out)]
            x = self("BatchNormalization", x, *(self.tensor(n) for n in numbers))
        return x

    def head(self, x, into):
        """Scores of three classes that are seldom close, as those of trained networks."""
        return self("Add", self.conv(x, into, 3, 1), self.tensor(np.reshape([2.5, 0, -2.5], (3, 1, 1))))

    def save(self, scores, name, **how):
        self.nodes.append(helper.make_node("Identity", [scores], ["scores"]))
        info = [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, "h", "w"])
            for n, c in (("image", 3), ("scores", 3))
        ]
        graph = helper.make_graph(self.nodes, "net", info[:1], info[1:], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8 if self.opset < 19 else 10
        onnx.save(model, str(place / f"{name}.onnx"), **how)
        return name


def grouped():
    net = Net()
    x = net("Relu", net.conv("image", 3, 8, norm=True))
    x = net("Relu", net.conv(x, 8, 8, group=4, norm=True))
    x = net("Clip", net.conv(x, 8, 12, group=2, norm=True, transposed=True), net.tensor(0.0), net.tensor(6.0))
    return net.save(net.head(x, 12), "grouped")


def sizes(opset):
    """Enlarged to a size that is computed from the image's, in floats, as exporters do it."""
    net = Net(opset)
    a = net("LeakyRelu", net.conv("image", 3, 8, norm=True))
    b = net("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = net("Relu", net.conv(b, 8, 16))
    shape = net("Shape", b)
    sides = net("Slice", shape, net.tensor([2], np.int64), net.tensor([4], np.int64))
    sides = net("Cast", net("Mul", net("Cast", sides, to=1), net.tensor([2.0, 2.0])), to=7)
    start = net("Slice", shape, net.tensor([0], np.int64), net.tensor([2], np.int64))
    none = net.tensor([])
    u = net("Resize", b, none, none, net("Concat", start, sides, axis=0), mode="linear")
    return net.save(net.head(net("Concat", u, a, axis=1), 24), f"sizes_{opset}")


def attention(opset):
    net = Net(opset)
    x = net("Conv", "image", net.tensor(random.normal(0, 0.1, (16, 3, 4, 4))), strides=[4, 4])
    shape = net("Shape", x)
    tokens = net("Transpose", net("Reshape", x, net.tensor([0, 16, -1], np.int64)), perm=[0, 2, 1])
    if opset >= 17:
        n = net("LayerNormalization", tokens, net.tensor(np.ones(16)), net.tensor(np.zeros(16)))
    else:
        centred = net("Sub", tokens, net("ReduceMean", tokens, axes=[-1]))
        spread = net("ReduceMean", net("Pow", centred, net.tensor(2.0)), axes=[-1])
        n = net("Div", centred, net("Sqrt", net("Add", spread, net.tensor(1e-5))))
    q, k, v = (net("MatMul", n, net("Transpose", net.tensor(random.normal(0, 0.3, (16, 16))))) for _ in range(3))
    products = net("Mul", net("MatMul", q, net("Transpose", k, perm=[0, 2, 1])), net.tensor(0.25))
    tokens = net("Add", tokens, net("MatMul", net("Softmax", products, axis=-1), v))
    wide = net("MatMul", tokens, net.tensor(random.normal(0, 0.3, (16, 32))))
    erf = net("Add", net("Erf", net("Div", wide, net.tensor(np.sqrt(2)))), net.tensor(1.0))
    tokens = net("MatMul", net("Mul", net("Mul", wide, erf), net.tensor(0.5)), net.tensor(random.normal(0, 0.3, (32, 16))))
    x = net("Reshape", net("Transpose", tokens, perm=[0, 2, 1]), shape)
    x = net("Resize", net.head(x, 16), "", net.tensor([1, 1, 4, 4]), mode="nearest")
    return net.save(x, f"attention_{opset}")


def shared():
    """One tensor for a convolution's bias and for a normalisation that stays, and a graph inside of a node."""
    net = Net()
    both = net.tensor(random.uniform(0.5, 1.5, 8))
    x = net("Conv", "image", net.tensor(random.normal(0, 0.4, (8, 3, 1, 1))), both)
    x = net("Add", x, net("InstanceNormalization", x, both, net.tensor(np.zeros(8))))
    branches = {}
    for name, operator in (("then_branch", "Softplus"), ("else_branch", "Relu")):
        out = helper.make_tensor_value_info(operator, TensorProto.FLOAT, [None] * 4)
        branches[name] = helper.make_graph([helper.make_node(operator, [x], [operator])], name, [], [out])
    x = net("If", net("Greater", net("ReduceMax", x, keepdims=0), net.tensor(1e6)), **branches)
    return net.save(net.head(x, 8), "shared")


def beside():
    net = Net()
    x = net("Relu", net.conv("image", 3, 16, norm=True))
    how = {"save_as_external_data": True, "location": "beside.bin", "size_threshold": 64}
    return net.save(net.head(net("HardSwish", net.conv(x, 16, 16)), 16), "beside", **how)


def facts(path):
    """Types of inputs and outputs, and what is said of a picture."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(1).uniform(0, 1, (1, 3, 64, 64)).astype(np.float32)
    borders = [(x.name, x.type) for x in (*session.get_inputs(), *session.get_outputs())]
    return borders, session.run(None, {"image": picture})[0]


for name in [grouped(), sizes(11), sizes(21), attention(13), attention(17), shared(), beside()]:
    before, scores = facts(place / f"{name}.onnx")
    for what, options, near in [
        ("f16", ["--to", "f16", "--job", "job.yaml"], 0.01),
        ("bf16", ["--to", "bf16", "--job", "job.yaml"], 0.05),
        ("frozen", ["--freeze", "batch=1,size=64"], 1e-5),
    ]:
        # The operators of one are too old for it, and the other has no tensor of more than a few numbers.
        if what == "bf16" and name in ("sizes_11", "shared"):
            continue
        out = place / f"{name}.{what}.onnx"
        command = [BINARY, "convert", f"{name}.onnx", "-o", out.name, "--format", "json", *options]
        ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
        check(ran.returncode == 0, f"{name} as {what}: exit code {ran.returncode} {ran.stderr[-300:]}")
        if ran.returncode != 0:
            continue
        model = onnx.load(str(out))
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        after, found = facts(out)
        most = np.abs(found - scores).max() / np.abs(scores).max()
        check(before == after, f"{name} as {what}: inputs and outputs are what they were")
        check(most <= near, f"{name} as {what}: scores differ by {most:.1e} of the greatest")
        if what != "frozen":
            check(most > 0, f"{name} as {what}: something was rounded")
        if what == "f16":
            half = json.loads(ran.stdout)["half"]
            check(half["nodes"] > 2 and half["numbers"] > 50, f"{name}: {half['nodes']} nodes are in half precision")
done()
