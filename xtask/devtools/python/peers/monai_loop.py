"""MONAI's sliding window on the same models: ONNX Runtime is its predictor, and views are shown one after the other.

    python monai_loop.py case.json OUT WORKERS

Reads, writes and prints what `plain_loop.py` does, and shares out the processors in the same way: with several workers
PyTorch too has one thread for each.
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
import torch
from monai.inferers import sliding_window_inference


def view(x, number):
    """One of the eight symmetries of [N, C, H, W]: turned by quarters, mirrored before from the fourth on."""
    return torch.rot90(x.flip(-1) if number >= 4 else x, number % 4, (2, 3))


def undone(x, number):
    x = torch.rot90(x, -number % 4, (2, 3))
    return x.flip(-1) if number >= 4 else x


class Predictor:
    def __init__(self, case, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        members = sorted(pathlib.Path(case["folder"], "members").glob("*.onnx"))
        self.sessions = [onnxruntime.InferenceSession(str(m), options, ["CPUExecutionProvider"]) for m in members]
        self.views, self.forwards, self.lock = range(8 if case["views"] == "d4" else 1), 0, threading.Lock()

    def __call__(self, windows):
        total = 0
        for session in self.sessions:
            for number in self.views:
                seen = view(windows, number).contiguous().numpy()
                said = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: seen})[0])
                total = total + undone(torch.softmax(said, 1), number)
        with self.lock:
            self.forwards += len(windows) * len(self.sessions) * len(self.views)
        return total / (len(self.sessions) * len(self.views))


def main():
    started = time.perf_counter()
    case, out, workers = json.load(open(sys.argv[1])), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True)
    if workers > 1:
        torch.set_num_threads(1)
    predictor = Predictor(case, 0 if workers == 1 else 1)
    mean, std = (torch.tensor(case[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))

    @torch.inference_mode()
    def predict(path):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        x = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - mean) / std
        scores = sliding_window_inference(x, case["window"], 1, predictor, case["overlap"], mode="gaussian")
        assert cv2.imwrite(str(out / f"{path.stem}.png"), scores[0].argmax(0).numpy().astype(np.uint8))

    paths = sorted(pathlib.Path(case["folder"], "images").iterdir())
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(predict, paths))
    print(json.dumps({"seconds": time.perf_counter() - started, "forwards": predictor.forwards}))


if __name__ == "__main__":
    main()
