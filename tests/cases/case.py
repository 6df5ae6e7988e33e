"""What the cases share: a folder of its own, tiny models, running Marquetry, and saying what is right."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BINARY = os.environ.get("MARQUETRY", "marquetry")
WORK = pathlib.Path(os.environ.get("CASES_WORK") or tempfile.mkdtemp(prefix="marquetry-cases-"))


def folder(name):
    """An empty folder with `images` in it."""
    path = WORK / name
    shutil.rmtree(path, ignore_errors=True)
    (path / "images").mkdir(parents=True)
    return path


def linear(path, weights, bias=None, after=(), metadata=None):
    """A model of one 1 × 1 convolution, scores = weights · pixel + bias, and what is applied `after` it.

    `weights` is `[channels out, channels in]`; `after` holds names of operators with axis 1.
    """
    weights = np.asarray(weights, np.float32)
    bias = np.zeros(len(weights), np.float32) if bias is None else np.asarray(bias, np.float32)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["s0"], kernel_shape=[1, 1])]
    for index, operator in enumerate(after):
        axis = {"axis": 1} if operator in ("Softmax", "ArgMax") else {}
        nodes.append(helper.make_node(operator, [f"s{index}"], [f"s{index + 1}"], **axis))
    last = f"s{len(after)}"
    kind = TensorProto.INT64 if "ArgMax" in after else TensorProto.FLOAT
    channels = 1 if "ArgMax" in after else len(weights)
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[1], "h", "w"])],
        [helper.make_tensor_value_info(last, kind, ["n", channels, "h", "w"])],
        [
            numpy_helper.from_array(weights[:, :, None, None], "w"),
            numpy_helper.from_array(bias, "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def scores(weights, bias, pixels):
    """The same by NumPy: `pixels` is `[H, W, channels]`, the result `[classes, H, W]`."""
    return (pixels @ np.asarray(weights).T + np.asarray(bias)).transpose(2, 0, 1)


def softmax(values):
    """Over the first axis."""
    values = np.exp(values - values.max(0, keepdims=True))
    return values / values.sum(0, keepdims=True)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


class Ran:
    """What came of `marquetry run`."""

    def __init__(self, place, process):
        self.code, self.said = process.returncode, process.stdout + process.stderr
        found = sorted(place.glob("out/jobs/*/out"), key=lambda path: path.stat().st_mtime)
        self.out = found[-1] if found else place / "none"


def run(place, job, command="run"):
    """Writes the job, which JSON can hold, and runs it in its folder."""
    job = {"version": 1, "name": "case", "images": "images", "store": "out", **job}
    (place / "job.yaml").write_text(json.dumps(job))
    command = [BINARY, command, "job.yaml"]
    return Ran(place, subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300))


FAILED = []


def check(right, what):
    """Says whether `what` is so; the program ends with 1 if anything is not."""
    print(("PASS  " if right else "FAIL  ") + what, flush=True)
    if not right:
        FAILED.append(what)


def done():
    sys.exit(1 if FAILED else 0)
