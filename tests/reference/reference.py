"""The plain way: one process, no tiles, no blocks, no clever memory.

Written apart from the Rust code, from the definitions alone, with numpy and onnxruntime. Reads a description of a job as
JSON, and writes the merged probabilities [C, H, W] and the labels [H, W] of one image as raw little-endian arrays.

    python reference.py job.json [job.json …]
"""

import json
import struct
import sys

import numpy as np
import onnxruntime


def read_bmp(path):
    """An uncompressed 24-bit bitmap as [3, H, W] float64, red first."""
    data = open(path, "rb").read()
    offset, = struct.unpack_from("<I", data, 10)
    width, height = struct.unpack_from("<ii", data, 18)
    assert struct.unpack_from("<H", data, 28)[0] == 24
    stride = (width * 3 + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, stride * abs(height), offset).reshape(abs(height), stride)
    image = rows[:, : width * 3].reshape(abs(height), width, 3)[:, :, ::-1]
    image = image[::-1] if height > 0 else image
    return image.transpose(2, 0, 1).astype(np.float64)


def resize_axis(x, size, axis):
    """Bilinear, half-pixel centres, along one axis."""
    n = x.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    weight = (at - low).reshape(shape)
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight


def resize(x, height, width):
    return resize_axis(resize_axis(x, height, -2), width, -1)


def starts(length, window, stride, edges):
    if length <= window:
        return [0 if edges == "pad" else -((window - length) // 2)]
    steps = -(-(length - window) // stride)
    if edges == "shift":
        return [min(k * stride, length - window) for k in range(steps + 1)]
    if edges == "pad":
        return [k * stride for k in range(steps + 1)]
    return [int(np.round((length - window) / steps * k)) for k in range(steps + 1)]


def importance(kind, height, width):
    if kind == "constant":
        return np.ones((height, width))
    def axis(n):
        return np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * (0.125 * n) ** 2))
    gauss = np.outer(axis(height), axis(width))
    return np.maximum(gauss, max(gauss.min(), 1e-3))


def view_of(name, x):
    """The views of a [C, H, W] window, by numpy's own words."""
    return {
        "identity": lambda a: a,
        "hflip": lambda a: a[:, :, ::-1],
        "vflip": lambda a: a[:, ::-1, :],
        "rot90": lambda a: np.rot90(a, 1, (1, 2)),
        "rot180": lambda a: np.rot90(a, 2, (1, 2)),
        "rot270": lambda a: np.rot90(a, 3, (1, 2)),
        "transpose": lambda a: a.transpose(0, 2, 1),
        "antitranspose": lambda a: np.rot90(a, 2, (1, 2)).transpose(0, 2, 1),
    }[name](x)


INVERSE = {"rot90": "rot270", "rot270": "rot90"}


def activate(logits):
    e = np.exp(logits - logits.max(0, keepdims=True))
    return e / e.sum(0, keepdims=True)


def member_scores(image, member, space):
    """One member's scores at the image's size, [C, H, W], mean over views and windows."""
    session = onnxruntime.InferenceSession(member["onnx"], providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    _, height, width = image.shape
    scaled_h, scaled_w = max(1, round(height * member["scale"])), max(1, round(width * member["scale"]))
    scaled = resize(image, scaled_h, scaled_w) if member["scale"] != 1 else image
    mean, std = (np.array(member[k]).reshape(3, 1, 1) for k in ("mean", "std"))
    scaled = (scaled / 255 - mean) / std
    wh, ww = member["window"]
    sh, sw = member["stride"]
    weight = importance(member["importance"], wh, ww)
    pad = max(wh, ww) * 2
    padded = np.pad(scaled, ((0, 0), (pad, pad), (pad, pad)), mode="reflect" if member["padding"] == "reflect" else "edge")
    total, weights = 0.0, np.zeros((scaled_h + 2 * pad, scaled_w + 2 * pad))
    for top in starts(scaled_h, wh, sh, member["edges"]):
        for left in starts(scaled_w, ww, sw, member["edges"]):
            window = padded[:, top + pad : top + pad + wh, left + pad : left + pad + ww]
            views = []
            for view in member["views"]:
                shown = np.ascontiguousarray(view_of(view, window), dtype=np.float32)
                said = session.run(None, {name: shown[None]})[0][0].astype(np.float64)
                said = activate(said) if space == "probabilities" else said
                views.append(view_of(INVERSE.get(view, view), said))
            merged = np.mean(views, axis=0)
            if np.isscalar(total):
                total = np.zeros((merged.shape[0], *weights.shape))
            total[:, top + pad : top + pad + wh, left + pad : left + pad + ww] += merged * weight
            weights[top + pad : top + pad + wh, left + pad : left + pad + ww] += weight
    inside = (slice(pad, pad + scaled_h), slice(pad, pad + scaled_w))
    scores = total[:, inside[0], inside[1]] / weights[inside]
    return resize(scores, height, width) if member["scale"] != 1 else scores


def main(path):
    job = json.load(open(path))
    image = read_bmp(job["image"])
    weights = np.array([member["weights"] for member in job["members"]], np.float64)
    merged = sum(
        w.reshape(-1, 1, 1) * member_scores(image, member, job["space"])
        for w, member in zip(weights, job["members"])
    ) / weights.sum(0).reshape(-1, 1, 1)
    scores = merged if job["space"] == "probabilities" else activate(merged)
    scores.astype("<f4").tofile(job["scores"])
    merged.argmax(0).astype("u1").tofile(job["labels"])


if __name__ == "__main__":
    for path in sys.argv[1:]:
        main(path)
