"""ONNX Runtime, or OpenVINO, and nothing else: the fastest a set of models can be run over so many windows.

Nothing is read, normalised, brought back or put together: one random input of the right shape is run again and again.

    python bare_loop.py '{"models": [...], "shape": [1, 3, 512, 512], "forwards": 400, "sessions": 2, "threads": 1}'

Each of `sessions` threads owns one session per model, each with `threads` threads inside the runtime; together they run
every model `forwards / (models * batch)` times. With `"openvino": "f32"` it is OpenVINO that runs them in that precision, and
in the one that it takes by itself with `"openvino": ""`. Prints seconds, forwards per second and peak memory as JSON.
"""

import json
import resource
import sys
import threading
import time

import numpy as np


def onnx_runtime(path, job):
    """Runs a model on an input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def openvino(path, job):
    """The same. The shape is fixed, and sessions beside each other are not bound to one processor."""
    from openvino import Core

    core = Core()
    model = core.read_model(path)
    model.reshape(job["shape"])
    settings = {"INFERENCE_NUM_THREADS": job["threads"], "ENABLE_CPU_PINNING": False}
    if job["openvino"]:
        settings["INFERENCE_PRECISION_HINT"] = job["openvino"]
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda x: request.infer([x])


def main():
    job = json.loads(sys.argv[1])
    x = np.random.default_rng(1).standard_normal(job["shape"], dtype=np.float32)
    opened = openvino if "openvino" in job else onnx_runtime
    lanes = [[opened(model, job) for model in job["models"]] for _ in range(job["sessions"])]
    for lane in lanes:
        for run in lane:
            run(x)
    batch = job["shape"][0]
    runs = [model for model in range(len(job["models"])) for _ in range(job["forwards"] // (len(job["models"]) * batch))]
    next_run, lock = iter(runs), threading.Lock()

    def work(lane):
        while True:
            with lock:
                model = next(next_run, None)
            if model is None:
                return
            lane[model](x)

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
