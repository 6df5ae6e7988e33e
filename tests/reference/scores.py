"""Runs models in ONNX Runtime on one made-up picture, apart from Marquetry: `scores.py HEIGHT WIDTH MODEL…`.

Of each model it writes `MODEL.scores`, the first output as 32-bit floats, and prints a line: types and shapes of input and output.
"""

import sys

import numpy as np
import onnxruntime

height, width = int(sys.argv[1]), int(sys.argv[2])
rows, columns = np.mgrid[0:height, 0:width]
picture = np.stack([np.sin(rows / (3 + c)) * np.cos(columns / (5 - c)) for c in range(3)]) * 0.5 + 0.5
for model in sys.argv[3:]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (given, *_), (first, *_) = session.get_inputs(), session.get_outputs()
    (scores, *_) = session.run([first.name], {given.name: picture[None].astype(np.float32)})
    scores.astype("<f4").tofile(f"{model}.scores")
    print(given.type, given.shape, first.type, list(scores.shape))
