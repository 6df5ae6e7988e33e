"""Four models in one job as they come from four sources: 21, 2, 1 and 1 channels, other numbers for the same class, four ways
to normalise, probabilities and logits. And a road that is two channels of one model."""

import numpy as np
from case import check, done, folder, linear, run, scores, sigmoid, softmax
from PIL import Image

place = folder("models_of_other_people")
random = np.random.default_rng(11)
pixels = np.repeat(np.repeat(random.integers(0, 256, (20, 26, 3), dtype=np.uint8), 8, 0), 8, 1)
Image.fromarray(pixels).save(place / "images/a.png")
unit = pixels / 255

mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
voc, voc_bias = random.normal(0, 1, (21, 3)), random.normal(0, 0.3, 21)
two, two_bias = random.normal(0, 3, (2, 3)), random.normal(0, 0.3, 2)
one, one_bias = random.normal(0, 2, (1, 3)), [0.2]
other, other_bias = random.normal(0, 4, (1, 3)), [-0.3]
linear(place / "voc.onnx", voc, voc_bias)
linear(place / "two.onnx", two, two_bias, ["Softmax"])
linear(place / "one.onnx", one, one_bias, ["Sigmoid"])
linear(place / "other.onnx", other, other_bias)
job = {
    "classes": ["background", "person"],
    "defaults": {"window": {"size": 64}},
    "members": [
        {
            "onnx": "voc.onnx",
            "input": {"mean": mean.tolist(), "std": std.tolist()},
            "output": {"classes": {"person": 15}},
        },
        {"onnx": "two.onnx", "input": {"mean": 0.5, "std": 0.5}},
        {"onnx": "one.onnx", "input": {"color": "bgr"}},
        {"onnx": "other.onnx", "input": {"scale": 1, "mean": 127.5, "std": 127.5}},
    ],
    "tiles": {"dtype": "f32"},
    "outputs": [{"masks": "png"}],
}
ran = run(place, job)
person = (
    softmax(scores(voc, voc_bias, (unit - mean) / std))[15]
    + softmax(scores(two, two_bias, (unit - 0.5) / 0.5))[1]
    + sigmoid(scores(one, one_bias, unit[..., ::-1]))[0]
    + sigmoid(scores(other, other_bias, (pixels - 127.5) / 127.5))[0]
) / 4
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-400:]}")
got = np.asarray(Image.open(ran.out / "masks/a.png"))
want = (person > 0.5).astype(np.uint8)
sure = np.abs(person - 0.5) > 1e-4
check((got == want)[sure].all(), f"{(got != want).mean():.4%} differ from the mean of person; {want.mean():.1%} are person")

place = folder("a_road_of_two_channels")
Image.fromarray(pixels).save(place / "images/a.png")
weights, bias = random.normal(0, 3, (4, 3)), random.normal(0, 0.3, 4)
linear(place / "m.onnx", weights, bias)
job["members"] = [{"onnx": "m.onnx", "output": {"classes": {"road": [1, 3]}}}]
job["classes"] = ["background", "road"]
ran = run(place, job)
road = softmax(scores(weights, bias, unit))[[1, 3]].sum(0)
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-400:]}")
got = np.asarray(Image.open(ran.out / "masks/a.png"))
sure = np.abs(road - 0.5) > 1e-4
check((got == (road > 0.5))[sure].all(), f"the road is the sum of both; {(road > 0.5).mean():.1%} are road")
done()
