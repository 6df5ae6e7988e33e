"""The plain way: one process, no tiles, no blocks, no clever memory.

Written apart from the Rust code, from the definitions alone, with numpy and onnxruntime. Reads a job file (one that is
JSON, and says no word unknown here) and images, and writes raw little-endian arrays for each:

    result.scores   merged probabilities, f4 [C, H, W]
    result.labels   u1 [H, W], or [C, H, W] of 0 and 1 where classes share pixels
    result.margin   by how much each label was decided, f4

    python reference.py job.json image.bmp result [image.bmp result …]
"""

import itertools
import json
import re
import struct
import sys

import numpy as np
import onnxruntime


def settle(words, **standard):
    """What is said, and the standard for what is not."""
    unknown = set(words) - set(standard)
    assert not unknown, f"the plain reference knows nothing of {unknown}"
    return {**standard, **words}


def pair(value):
    """One number for both axes, or one for each."""
    return list(value) if isinstance(value, list) else [value, value]


def per_band(value):
    return np.reshape(np.asarray(value, np.float64), (-1, 1, 1))


def rounded(x):
    return int(np.floor(x + 0.5))


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
    """Bilinear, half-pixel centres, no smoothing, along one axis."""
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


def areas(x, size, axis):
    """The mean of what each new pixel covers, from the integral of the old ones."""
    n = x.shape[axis]
    if size >= n:
        return resize_axis(x, size, axis)
    x = np.moveaxis(x, axis, -1)
    integral = np.concatenate([np.zeros((*x.shape[:-1], 1)), np.cumsum(x, -1)], -1)
    edges = np.arange(size + 1) * n / size
    low = np.minimum(np.floor(edges).astype(int), n - 1)
    at = integral[..., low] + (edges - low) * x[..., low]
    return np.moveaxis(np.diff(at, axis=-1) * size / n, -1, axis)


def smoothed(x, size, axis, support, curve):
    """A curve laid over each new pixel's middle, as wide as what it covers, and cut off at the border."""
    n = x.shape[axis]
    wide = max(n / size, 1)
    middles = (np.arange(size) + 0.5) * n / size
    weights = np.zeros((size, n))
    for row, middle in zip(weights, middles):
        pixels = np.arange(max(int(middle - support * wide + 0.5), 0), min(int(middle + support * wide + 0.5), n))
        row[pixels] = curve(np.abs(pixels + 0.5 - middle) / wide)
    weights /= weights.sum(1, keepdims=True)
    return np.moveaxis(np.moveaxis(x, axis, -1) @ weights.T, -1, axis)


def cubic_curve(x, a):
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def cubic(x, size, axis):
    """Four pixels, the border repeated."""
    n = x.shape[axis]
    at = (np.arange(size) + 0.5) * n / size - 0.5
    low = np.floor(at).astype(int)
    shape = [1] * x.ndim
    shape[axis] = size
    return sum(np.take(x, np.clip(low + k, 0, n - 1), axis) * cubic_curve(np.abs(at - low - k), -0.75).reshape(shape)
               for k in (-1, 0, 1, 2))


RESAMPLES = {
    "linear": resize_axis,
    "area": areas,
    "cubic": cubic,
    "pillow-linear": lambda x, size, axis: smoothed(x, size, axis, 1, lambda d: np.maximum(1 - d, 0)),
    "pillow-cubic": lambda x, size, axis: smoothed(x, size, axis, 2, lambda d: cubic_curve(d, -0.5)),
}


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
    assert kind == "gaussian"
    def axis(n):
        return np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * (0.125 * n) ** 2))
    gauss = np.outer(axis(height), axis(width))
    return np.maximum(gauss, max(gauss.min(), 1e-3))


def padded(x, by, how):
    """`x` with `by` more pixels on all four sides."""
    around = ((0, 0), (by, by), (by, by))
    if isinstance(how, dict):
        return np.pad(x, around, mode="constant", constant_values=how["constant"])
    return np.pad(x, around, mode={"reflect": "reflect", "replicate": "edge"}[how])


# The symmetries of a [C, H, W] array, by numpy's own words, and what undoes those that do not undo themselves.
TURNS = {
    "identity": lambda a: a,
    "hflip": lambda a: a[:, :, ::-1],
    "vflip": lambda a: a[:, ::-1, :],
    "rot90": lambda a: np.rot90(a, 1, (1, 2)),
    "rot180": lambda a: np.rot90(a, 2, (1, 2)),
    "rot270": lambda a: np.rot90(a, 3, (1, 2)),
    "transpose": lambda a: a.transpose(0, 2, 1),
    "antitranspose": lambda a: np.rot90(a, 2, (1, 2)).transpose(0, 2, 1),
}
UNDOES = {"rot90": "rot270", "rot270": "rot90"}
# What turns are made of.
FLIPS = {"rot180": ["vflip", "hflip"], "rot90": ["transpose", "vflip"], "rot270": ["transpose", "hflip"],
         "antitranspose": ["transpose", "vflip", "hflip"]}
SETS = {"d4": list(TURNS), "flips": ["identity", "hflip", "vflip", "rot180"]}


def measured(x, how):
    """What is taken off and divided by, [C, 1, 1], of samples [C, H, W]."""
    def one(samples):
        samples = samples[samples != 0] if how["mask"] == "nonzero" else samples.ravel()
        if how["percentiles"]:
            low, high = np.percentile(samples, how["percentiles"])
            return low, high - low
        return {"meanstd": lambda: (samples.mean(), samples.std()), "max": lambda: (0.0, samples.max()),
                "minmax": lambda: (samples.min(), samples.max() - samples.min())}[how["by"]]()
    found = [one(x)] * len(x) if how["over"] == "all" else [one(band) for band in x]
    return (np.reshape(numbers, (-1, 1, 1)) for numbers in zip(*found))


def standard(x, mean, std, how):
    """Samples as the model sees them."""
    seen = (x - mean) / std
    if how and how["clip"]:
        seen = np.clip(seen, 0, 1)
    return np.where(x == 0, 0, seen) if how and how["mask"] == "nonzero" else seen


class View:
    """What a few words, one after the other, make of a window."""

    def __init__(self, words):
        self.turns = [word for word in words if word in TURNS]
        self.words = words
        self.factor = {"scale": 1.0, "brightness": 1.0, "contrast": 1.0}
        for word in words:
            if word not in TURNS:
                kind, factor = re.fullmatch(r"(\w+)\(([\d.]+)\)", word).groups()
                self.factor[kind] *= float(factor)

    def turned(self, x):
        for word in self.turns:
            x = TURNS[word](x)
        return x

    def turned_back(self, x):
        for word in reversed(self.turns):
            x = TURNS[UNDOES.get(word, word)](x)
        return x

    def does(self):
        """Equal for views that do the same."""
        return self.turned(np.arange(6).reshape(1, 2, 3)).tolist(), self.factor

    def shown(self, window, mean, std):
        """The normalised window as the model sees it: turned, then resized, then its samples made brighter, then
        driven apart (or together) about the mean of each band in the window."""
        turned = self.turned(window)
        turned = resize(turned, *(rounded(side * self.factor["scale"]) for side in turned.shape[1:]))
        samples, centre = (self.factor["brightness"] * (x * std + mean)
                           for x in (turned, window.mean((1, 2), keepdims=True)))
        return (centre + self.factor["contrast"] * (samples - centre) - mean) / std


def views(tta):
    """The views of a job, those that do the same only once."""
    names = tta["views"] if isinstance(tta["views"], list) else [tta["views"]]
    options = [[[word] for word in SETS.get(name, [name])] for name in names]
    if tta["combine"] == "product":
        chains = [sum(chain, []) for chain in itertools.product(*([[], *some] for some in options))]
    else:
        chains = [[], *itertools.chain(*options)]
    different = []
    for view in map(View, chains):
        known = different if tta["identity"] else [View([]), *different]
        if all(view.does() != other.does() for other in known):
            different.append(view)
    return different


MERGES = {
    "mean": lambda x: x.mean(0),
    "gmean": lambda x: x.prod(0) ** (1 / len(x)),
    "max": lambda x: x.max(0),
    "min": lambda x: x.min(0),
    "sum": lambda x: x.sum(0),
    "tsharpen": lambda x: np.sqrt(x).mean(0),
}


def converted(x, given, wanted, multilabel):
    """Scores [C, …] of one space in another."""
    if given == wanted:
        return x
    if wanted == "probabilities":
        if multilabel:
            return 1 / (1 + np.exp(-x))
        e = np.exp(x - x.max(0, keepdims=True))
        return e / e.sum(0, keepdims=True)
    x = np.clip(x, 1e-6, 1 - 1e-6 if multilabel else None)
    return np.log(x / (1 - x)) if multilabel else np.log(x)


def named(view, classes, swap):
    """For each class of the image, what the model calls it in a view."""
    order = list(range(len(classes)))
    if isinstance(swap, list):
        # Left and right are exchanged by what turns a row round, and by no other flip.
        row = view.turned(np.arange(2).reshape(1, 1, 2))
        if not swap:
            return order
        assert row.shape == (1, 1, 2), "a view that is turned on its side"
        swap = {"": swap} if row[0, 0, 0] == 1 else {}
        words = [""]
    else:
        words = [word for word in view.words if word in TURNS and word != "identity"]
        words = sum((FLIPS.get(word, [word]) for word in words), [])
    for word in words:
        for left, right in swap.get(word, []):
            left, right = classes.index(left), classes.index(right)
            order = [{left: right, right: left}.get(k, k) for k in order]
    return order


class Member:
    """One model, what it sees and what it says."""

    def __init__(self, job, words):
        words = settle(words, onnx=None, name=None, weight=1.0, scale=1.0, input={}, output={}, window={})
        self.job, self.weight, self.scale = job, per_band(words["weight"]), words["scale"]
        self.input = settle(words["input"], color="rgb", mean=0.0, std=1.0, normalize="fixed")
        self.output = settle(words["output"], activation="none", multilabel=False, fit="auto")
        self.window = settle(words["window"], size=None, mode="slide", margin=0, overlap=0.5, stride=None,
                             edges="shift", importance="gaussian", padding=None, fit="stretch", resample="linear")
        self.whole = self.window["mode"] == "whole"
        if self.window["padding"] is None:
            self.window["padding"] = {"constant": 0} if self.whole else "reflect"
        if self.whole and self.window["fit"] == "longest":
            self.window["edges"] = "pad"
        if self.window["mode"] == "whole":
            # One window that is the image, every pixel of it as good as the others.
            self.window["importance"] = "constant"
        self.session = onnxruntime.InferenceSession(words["onnx"], providers=["CPUExecutionProvider"])
        self.multiple = re.fullmatch(r"multiple\((\d+)\)", self.window["fit"])
        self.size = [64, 64] if self.multiple else pair(self.window["size"])
        self.margin = pair(self.window["margin"])
        found = list(self.said(np.zeros((3, *self.size))).shape[1:])
        # A network that pads nothing loses as much on both axes; one of some step loses a share of each.
        lost = {seen - said for seen, said in zip(self.size, found)}
        stepped = all(seen % said == 0 for seen, said in zip(self.size, found)) or len(lost) > 1
        self.central = self.output["fit"] == "centre" or (self.output["fit"] == "auto" and not stepped)
        self.central = self.central and found != self.size
        if self.central:
            # The model itself leaves the margin out.
            self.margin = [(seen - said) // 2 for seen, said in zip(self.size, found)]
        self.kept = [side - 2 * margin for side, margin in zip(self.size, self.margin)]
        overlaps = [int(side * (1 - overlap)) for side, overlap in zip(self.kept, pair(self.window["overlap"]))]
        # Scores of an image that is stretched are brought back to it as they come, once.
        self.stretched = self.whole and self.window["fit"] == "stretch"
        self.target = found if self.stretched and not self.central else self.size
        if self.stretched:
            self.kept = self.target
        self.stride = pair(self.window["stride"]) if self.window["stride"] else overlaps

    def said(self, shown):
        name = self.session.get_inputs()[0].name
        return self.session.run(None, {name: shown[None].astype(np.float32)})[0][0].astype(np.float64)

    def window_scores(self, window, mean, std):
        """The kept part of a window [C, h, w], views merged, in the space in which members are merged."""
        tta, multilabel = self.job["tta"], self.output["multilabel"]
        given = "logits" if self.output["activation"] == "none" else "probabilities"
        found = []
        for view in views(tta):
            said = self.said(view.shown(window, mean, std))
            if self.central:
                said = view.turned_back(said)
            else:
                # What the model says is interpolated as it is; its activation comes after that.
                sides = self.target[::-1] if view.turned(np.zeros((1, 1, 2))).shape[1] == 2 else self.target
                said = view.turned_back(resize(said, *sides))
                (down, right), (height, width) = self.margin, self.kept
                said = said[:, down : down + height, right : right + width]
            said = said[named(view, self.job["classes"], tta["swap"])]
            found.append(converted(said, given, tta["space"], multilabel))
        merged = MERGES[tta["merge"]](np.array(found))
        return converted(merged, tta["space"], self.job["merge"]["space"], multilabel)

    def scores(self, image):
        """The scores of a whole image, [C, H, W], windows merged, brought back to its size."""
        mean, std = per_band(self.input["mean"]), per_band(self.input["std"])
        # A mean or deviation above 1 is of samples of 0 to 255.
        full = 255 if max(np.abs(mean).max(), std.max()) <= 1 else 1
        bands = (image[::-1] if self.input["color"] == "bgr" else image) / full
        how = {"image": {}, "fixed": None}.get(self.input["normalize"], self.input["normalize"]) \
            if isinstance(self.input["normalize"], str) else self.input["normalize"]
        if how is not None:
            how = settle(how, per="image", over="bands", mask="nodata", by="meanstd", percentiles=None, clip=False)
            mean, std = measured(bands, how)
        height, width = image.shape[1:]
        scaled = [max(1, rounded(side * self.scale)) for side in (height, width)]
        if self.multiple:
            of = int(self.multiple[1])
            self.size = self.target = self.kept = scaled = [-(-side // of) * of for side in (height, width)]
            around = [(0, 0), (0, self.size[0] - height), (0, self.size[1] - width)]
            value = self.window["padding"]["constant"]
            seen = np.pad(standard(bands, mean, std, how), around, constant_values=value)
            return self.window_scores(seen, mean, std)[:, :height, :width]
        if self.whole:
            factor = min(side / length for side, length in zip(self.size, (height, width)))
            scaled = [max(1, rounded(length * factor)) for length in (height, width)]
        change = RESAMPLES[self.window["resample"]]
        def changed(height, width):
            return change(change(bands, height, -2), width, -1)
        if self.stretched:
            return resize(self.window_scores(standard(changed(*self.size), mean, std, how), mean, std), height, width)
        by = 2 * max(self.size)
        each = how is not None and how["per"] == "window"
        seen = changed(*scaled)
        seen = padded(seen if each else standard(seen, mean, std, how), by, self.window["padding"])
        weight = importance(self.window["importance"], *self.kept)
        total, weights = np.zeros((len(self.job["classes"]), *seen.shape[1:])), np.zeros(seen.shape[1:])
        rows, cols = (starts(*axis, self.window["edges"]) for axis in zip(scaled, self.kept, self.stride))
        for corner in itertools.product(rows, cols):
            def area(grown):
                return tuple(slice(by + first - more, by + first + side + more)
                             for first, side, more in zip(corner, self.kept, grown))
            kept = area((0, 0))
            window = seen[:, *area(self.margin)]
            if each:
                mean, std = measured(window, how)
                window = standard(window, mean, std, how)
            total[:, *kept] += weight * self.window_scores(window, mean, std)
            weights[kept] += weight
        inside = tuple(slice(by, by + side) for side in scaled)
        return resize(total[:, *inside] / weights[inside], height, width)


def decided(merged, probabilities, job, multilabel):
    """Labels, and how much of a score each of them hangs on."""
    if not multilabel:
        second, best = np.sort(probabilities, axis=0)[-2:]
        return merged.argmax(0), best - second
    thresholds = per_band([job["decide"]["thresholds"].get(name, 0.5) for name in job["classes"]])
    return probabilities > thresholds, np.abs(probabilities - thresholds)


def read_job(path):
    job = settle(json.load(open(path)), version=1, images=None, classes=None, members=None, tta={}, merge={}, decide={},
                 tiles={}, limits={}, outputs=[], store="")
    job["merge"] = settle(job["merge"], space="probabilities")
    job["tta"] = settle(job["tta"], views=[], merge="mean", combine="list", identity=True,
                        space=job["merge"]["space"], swap=[])
    job["decide"] = settle(job["decide"], thresholds={})
    return job


def main(path, images):
    job = read_job(path)
    members = [Member(job, words) for words in job["members"]]
    multilabel = members[0].output["multilabel"]
    for image, result in images:
        image = read_bmp(image)
        merged = sum(member.weight * member.scores(image) for member in members) / sum(m.weight for m in members)
        probabilities = converted(merged, job["merge"]["space"], "probabilities", multilabel)
        labels, margin = decided(merged, probabilities, job, multilabel)
        probabilities.astype("<f4").tofile(result + ".scores")
        labels.astype("u1").tofile(result + ".labels")
        margin.astype("<f4").tofile(result + ".margin")


if __name__ == "__main__":
    main(sys.argv[1], zip(sys.argv[2::2], sys.argv[3::2]))
