"""Makes what a case of `cargo xtask bench --peers` needs: pictures and U-Nets, all from seeds.

    python make_case.py case.json

Writes `images/*.png` and `members/*.onnx` into the case's folder, and prints how many parameters each member has. What
the networks say means nothing, but hangs on the picture everywhere and is as decided as what a trained one says.
"""

import json
import pathlib
import sys

import cv2
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model


def picture(side, rng):
    """Soft waves with discs on them and some noise, u8 [H, W, 3]: nothing in it is symmetric."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    rates = rng.uniform(0.01, 0.15, (3, 2))
    image = np.stack([128 + 60 * np.sin(y * down + x * right + 9 * down) for down, right in rates], -1)
    for _ in range(side * side // 4000 + 2):
        centre, radius = rng.uniform(0, side, 2), rng.uniform(4, 24)
        image[np.hypot(y - centre[0], x - centre[1]) < radius] += rng.uniform(-90, 90, 3)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


class UNet:
    """Two convolutions on each level, channels doubled on each way down, nearest enlarging on the way up."""

    def __init__(self, base, depth, classes, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.tensors, self.parameters = [], [], 0
        skips, x, channels = [], "image", 3
        for level in range(depth + 1):
            width = base * 2**level
            x = self.convolution(self.convolution(x, channels, width), width, width)
            channels = width
            if level < depth:
                skips.append((x, width))
                x = self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        self.tensors.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
        for skip, width in reversed(skips):
            x = self.node("Resize", [x, "", "twice"], mode="nearest")
            x = self.node("Concat", [x, skip], axis=1)
            x = self.convolution(self.convolution(x, channels + width, width), width, width)
            channels = width
        # Scores that lie as far apart as those of a trained network.
        x = self.convolution(x, channels, classes, side=1, gain=8.0, last=True)
        self.nodes.append(helper.make_node("Identity", [x], ["scores"]))

    def node(self, operator, inputs, **settings):
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **settings))
        return name

    def convolution(self, x, channels, width, side=3, gain=1.0, last=False):
        spread = gain * (2 / (channels * side * side)) ** 0.5
        weights = self.rng.normal(0, spread, (width, channels, side, side)).astype(np.float32)
        # No class and no feature is ahead of the others whatever the picture.
        weights -= weights.mean((1, 2, 3), keepdims=True)
        bias = self.rng.normal(0, 0.05, width).astype(np.float32)
        name = f"level{len(self.tensors)}"
        self.tensors += [numpy_helper.from_array(weights, name + ".weight"), numpy_helper.from_array(bias, name + ".bias")]
        self.parameters += weights.size + bias.size
        x = self.node("Conv", [x, name + ".weight", name + ".bias"], pads=[side // 2] * 4)
        return x if last else self.node("Relu", [x])

    def write(self, path, classes):
        shape = lambda channels: ["N", channels, "H", "W"]
        graph = helper.make_graph(
            self.nodes, "unet",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape(3))],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape(classes))],
            self.tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        save_model(model, path)


def main():
    case = json.load(open(sys.argv[1]))
    folder = pathlib.Path(case["folder"])
    (folder / "images").mkdir(parents=True)
    (folder / "members").mkdir()
    for number in range(case["images"]):
        image = picture(case["side"], np.random.default_rng(number))
        cv2.imwrite(str(folder / f"images/{number:05}.png"), image)
    parameters = []
    for seed, member in enumerate(case["members"]):
        net = UNet(member["base"], member["depth"], case["classes"], seed)
        net.write(folder / f"members/{seed}.onnx", case["classes"])
        parameters.append(net.parameters)
    print(json.dumps({"parameters": parameters}))


if __name__ == "__main__":
    main()
