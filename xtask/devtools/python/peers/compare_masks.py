"""Counts the labels that differ between two folders of grey PNG masks of the same names.

    python compare_masks.py FOLDER OTHER

Prints `pixels`, `differing` and `used`, how many labels the first folder has at all, as JSON.
"""

import json
import pathlib
import sys

import cv2
import numpy as np


def main():
    first, other = (pathlib.Path(folder) for folder in sys.argv[1:])
    names = sorted(path.name for path in first.iterdir())
    assert names and names == sorted(path.name for path in other.iterdir()), f"other masks in {other} than in {first}"
    pixels, differing, used = 0, 0, set()
    for name in names:
        a, b = (cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for folder in (first, other))
        assert a.shape == b.shape and a.ndim == 2, f"{name} is {a.shape} here and {b.shape} there"
        pixels, differing = pixels + a.size, differing + int((a != b).sum())
        used |= set(np.unique(a).tolist())
    print(json.dumps({"pixels": pixels, "differing": differing, "used": len(used)}))


if __name__ == "__main__":
    main()
