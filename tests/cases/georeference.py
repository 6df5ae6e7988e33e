"""Masks and probabilities of a georeferenced image lie where the image lies, for everybody who reads GeoTIFF."""

import numpy as np
import rasterio
from case import check, done, folder, linear, run, scores, softmax
from rasterio.transform import from_origin

place = folder("georeference")
random = np.random.default_rng(3)
pixels = random.integers(0, 256, (150, 210, 3), dtype=np.uint8)
where = {"crs": "EPSG:32633", "transform": from_origin(500_000, 4_649_776, 0.5, 0.5)}
with rasterio.open(
    place / "images/a.tif", "w", driver="GTiff", height=150, width=210, count=3, dtype="uint8", **where
) as image:
    image.write(pixels.transpose(2, 0, 1))

weights, bias = random.normal(0, 4, (3, 3)), [0.1, -0.2, 0.3]
linear(place / "m.onnx", weights, bias)
ran = run(
    place,
    {
        "classes": ["a", "b", "c"],
        "members": [{"onnx": "m.onnx", "window": {"size": 64}}],
        "tiles": {"dtype": "f32"},
        "outputs": [{"masks": "tiff"}, {"probabilities": "tiff"}],
    },
)
check(ran.code == 0, f"exit code {ran.code}: {ran.said[-300:]}")
want = softmax(scores(weights, bias, pixels / 255))
with rasterio.open(ran.out / "masks/a.tiff") as mask:
    check(mask.crs == where["crs"] and mask.transform == where["transform"], f"mask: {mask.crs}, {mask.transform}")
    check((mask.read(1) == want.argmax(0)).all(), "the mask is the argmax")
with rasterio.open(ran.out / "probabilities/a.tiff") as values:
    check(values.crs == where["crs"] and values.transform == where["transform"], "probabilities lie there too")
    check(np.abs(values.read() - want).max() < 1e-3, "and are softmax, as half precision has it")
done()
