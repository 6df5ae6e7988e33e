"""What the plain loop of the benchmark asks of OpenCV, in place of which this stands in tests.

Pictures are uncompressed 24-bit bitmaps; masks are written as raw bytes, whatever they are called.
"""

import struct

import numpy as np

COLOR_BGR2RGB = None


def imread(path):
    """u8 [H, W, 3], blue first."""
    data = open(path, "rb").read()
    offset, = struct.unpack_from("<I", data, 10)
    width, height = struct.unpack_from("<ii", data, 18)
    stride = (width * 3 + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, stride * abs(height), offset).reshape(abs(height), stride)
    image = rows[:, : width * 3].reshape(abs(height), width, 3)
    return image[::-1] if height > 0 else image


def cvtColor(image, code):
    assert code is COLOR_BGR2RGB
    return image[:, :, ::-1]


def imwrite(path, labels):
    assert labels.dtype == np.uint8
    labels.tofile(path)
    return True
