"""ONNX Runtime and nothing else: the fastest a set of models can be run over so many windows.

Nothing is read, normalised, brought back or put together: one random input of the right shape is run again and again.

    python bare_loop.py '{"models": [...], "shape": [1, 3, 512, 512], "forwards": 400, "sessions": 2, "threads": 1}'

Each of `sessions` threads owns one session per model, each with `threads` threads inside the runtime; together they run
every model `forwards / (models * batch)` times. Prints seconds, forwards per second and peak memory as JSON.
"""

import json
import resource
import sys
import threading
import time

import numpy as np
import onnxruntime


def main():
    job = json.loads(sys.argv[1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    x = np.random.default_rng(1).standard_normal(job["shape"], dtype=np.float32)

    def sessions():
        return [onnxruntime.InferenceSession(m, options, providers=["CPUExecutionProvider"]) for m in job["models"]]

    lanes = [sessions() for _ in range(job["sessions"])]
    for lane in lanes:
        for session in lane:
            session.run(None, {session.get_inputs()[0].name: x})
    batch = job["shape"][0]
    runs = [model for model in range(len(job["models"])) for _ in range(job["forwards"] // (len(job["models"]) * batch))]
    next_run, lock = iter(runs), threading.Lock()

    def work(lane):
        while True:
            with lock:
                model = next(next_run, None)
            if model is None:
                return
            session = lane[model]
            session.run(None, {session.get_inputs()[0].name: x})

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    forwards = len(runs) * batch
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "forwards": forwards, "rate": forwards / seconds, "peak_bytes": peak}))


main()
