"""Two folds whose weights lie in a second file of the same name beside each, as torch writes them; started in a folder that
holds a third one of that name; and one that is replaced."""

import numpy as np
import onnx
from case import check, done, folder, linear, run, scores, softmax
from PIL import Image

place = folder("weights_beside_the_model")
random = np.random.default_rng(5)
pixels = random.integers(0, 256, (70, 90, 3), dtype=np.uint8)
Image.fromarray(pixels).save(place / "images/a.png")
folds = []
for fold in range(3):
    weights, bias = random.normal(0, 4, (3, 3)), random.normal(0, 0.3, 3)
    path = place / (f"models/fold{fold}/model.onnx" if fold < 2 else "model.onnx")
    linear(path, weights, bias)
    model = onnx.load(str(path))
    path.unlink()
    onnx.save(model, str(path), save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    folds.append((weights, bias))
job = {
    "classes": ["a", "b", "c"],
    "members": [{"onnx": "models/fold{0,1}/model.onnx", "window": {"size": 64}}],
    "tiles": {"dtype": "f32"},
    "outputs": [{"masks": "png"}],
}


def masks(ran):
    return np.asarray(Image.open(ran.out / "masks/a.png"))


ran = run(place, job)
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-400:]}")
want = sum(softmax(scores(*fold, pixels / 255)) for fold in folds[:2])
check((masks(ran) == want.argmax(0)).all(), "each fold has the weights that lie beside it")

(place / "models/fold1/model.onnx.data").write_bytes((place / "model.onnx.data").read_bytes())
ran = run(place, job)
want = softmax(scores(*folds[0], pixels / 255)) + softmax(scores(*folds[2], pixels / 255))
check((masks(ran) == want.argmax(0)).all(), "other weights in the second file are another model")

(place / "models/fold1/model.onnx.data").unlink()
ran = run(place, job)
check(ran.code == 65 and "model.onnx.data" in ran.said, f"a second file that is missing is named: {ran.code}, {ran.said[-300:]}")
done()
