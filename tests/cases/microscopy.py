"""What microscopes write: channels as pages (ImageJ, OME), 12 bits in words of 16, a stack in depth."""

import numpy as np
import tifffile
from case import check, done, folder, linear, run, scores
from PIL import Image

random = np.random.default_rng(8)
weights, bias = random.normal(0, 4, (4, 3)), random.normal(0, 0.3, 4)
pixels = random.integers(0, 256, (50, 60, 3), dtype=np.uint8)
job = {
    "classes": ["a", "b", "c", "d"],
    "members": [{"onnx": "m.onnx", "window": {"size": 64}}],
    "tiles": {"dtype": "f32"},
    "outputs": [{"masks": "png"}],
}
place = folder("microscopy_pages")
linear(place / "m.onnx", weights, bias)
pages = np.ascontiguousarray(pixels.transpose(2, 0, 1))
tifffile.imwrite(place / "images/imagej.tif", pages, imagej=True, metadata={"axes": "CYX"})
tifffile.imwrite(place / "images/ome.ome.tif", pages, ome=True, photometric="minisblack", metadata={"axes": "CYX"})
ran = run(place, job)
want = scores(weights, bias, pixels / 255).argmax(0)
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-400:]}")
for name in ("imagej", "ome.ome"):
    got = np.asarray(Image.open(ran.out / f"masks/{name}.png"))
    check((got == want).all(), f"{name}: {(got == want).mean():.1%} right with pages as bands")

place = folder("microscopy_stack")
linear(place / "m.onnx", weights[:, :1], bias)
stack = random.integers(0, 256, (5, 50, 60), dtype=np.uint8)
tifffile.imwrite(place / "images/stack.tif", stack, imagej=True, metadata={"axes": "ZYX"})
ran = run(place, job)
if ran.code == 0:
    got = np.asarray(Image.open(ran.out / "masks/stack.png"))
    want = scores(weights[:, :1], bias, stack[0][..., None] / 255).argmax(0)
    check((got == want).all() and "page" in ran.said, f"the first of five pages, and it is said: {ran.said[:400]}")
else:
    check("page" in ran.said, f"refused, naming pages: {ran.said[-300:]}")
job["images"] = {"from": "images", "page": 3}
ran = run(place, job)
want = scores(weights[:, :1], bias, stack[3][..., None] / 255).argmax(0)
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-300:]}")
check((np.asarray(Image.open(ran.out / "masks/stack.png")) == want).all(), "page: 3 is page 3, counted from 0")
done()
