"""The plain way, as people write it for themselves: windows, views, softmax, one canvas for each image.

    python plain_loop.py case.json OUT WORKERS

With one worker the runtime has all processors; with several each takes an image at a time, and the runtime one thread for
each. Writes a grey PNG of labels for each image into OUT, and prints seconds without imports, and forwards, as JSON.
"""

import concurrent.futures
import json
import pathlib
import sys
import threading
import time

import cv2
import numpy as np
import onnxruntime

# What is done to [N, C, H, W], and what undoes it.
IDENTITY = (lambda a: a, lambda a: a)
D4 = [IDENTITY] + [(lambda a, k=k: np.rot90(a, k, (2, 3)), lambda a, k=k: np.rot90(a, -k, (2, 3))) for k in (1, 2, 3)]
D4 += [(lambda a, k=k: np.rot90(a[..., ::-1], k, (2, 3)), lambda a, k=k: np.rot90(a, -k, (2, 3))[..., ::-1]) for k in range(4)]


def starts(length, window, stride):
    """Where windows begin along an axis: the last one ends with the image."""
    return [min(at, length - window) for at in range(0, length - window + stride, stride)]


def importance(window):
    """Gaussian with a deviation of an eighth of the window, [H, W]; a thousandth at least."""
    line = np.exp(-((np.arange(window) - (window - 1) / 2) ** 2) / (2 * (window / 8) ** 2))
    square = np.outer(line, line)
    return np.maximum(square, max(square.min(), 1e-3)).astype(np.float32)


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


class Ensemble:
    def __init__(self, case, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        members = sorted(pathlib.Path(case["folder"], "members").glob("*.onnx"))
        self.sessions = [onnxruntime.InferenceSession(str(m), options, ["CPUExecutionProvider"]) for m in members]
        self.views = D4 if case["views"] == "d4" else [IDENTITY]
        self.window, self.stride, self.classes = case["window"], round(case["window"] * (1 - case["overlap"])), case["classes"]
        self.mean, self.std = np.float32(case["mean"]), np.float32(case["std"])
        self.importance, self.forwards, self.lock = importance(self.window), 0, threading.Lock()

    def scores(self, window):
        """The mean probabilities [C, H, W] of a window [3, H, W] over members and views."""
        total = 0
        for session in self.sessions:
            for show, undo in self.views:
                seen = np.ascontiguousarray(show(window[None]))
                said = session.run(None, {session.get_inputs()[0].name: seen})[0]
                total = total + undo(softmax(said))[0]
        with self.lock:
            self.forwards += len(self.sessions) * len(self.views)
        return total / (len(self.sessions) * len(self.views))

    def labels(self, image):
        """u8 [H, W] of an RGB image u8 [H, W, 3]."""
        height, width, side = *image.shape[:2], self.window
        x = ((image.astype(np.float32) / 255 - self.mean) / self.std).transpose(2, 0, 1)
        canvas, weight = np.zeros((self.classes, height, width), np.float32), np.zeros((height, width), np.float32)
        for top in starts(height, side, self.stride):
            for left in starts(width, side, self.stride):
                at = np.s_[top : top + side, left : left + side]
                canvas[:, *at] += self.scores(x[:, *at]) * self.importance
                weight[at] += self.importance
        return (canvas / weight).argmax(0).astype(np.uint8)


def main():
    started = time.perf_counter()
    case, out, workers = json.load(open(sys.argv[1])), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True)
    ensemble = Ensemble(case, 0 if workers == 1 else 1)

    def predict(path):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        assert cv2.imwrite(str(out / f"{path.stem}.png"), ensemble.labels(image))

    paths = sorted(pathlib.Path(case["folder"], "images").iterdir())
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(predict, paths))
    print(json.dumps({"seconds": time.perf_counter() - started, "forwards": ensemble.forwards}))


if __name__ == "__main__":
    main()
