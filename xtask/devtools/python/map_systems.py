"""Which reference systems GeoJSON is converted from: compares what `crs-definitions` and `proj4rs` make of them with PROJ.

    python map_systems.py CRATE      # the folder of marquetry-raster; needs pyproj, and cargo

Writes, in `src/write/map_frame/`, `systems.rs`, which codes are converted, `shifts.rs`, with which shifts, and `places.tsv`, a sample of
places by which its test finds out whether that still holds. PROJ is asked without tables of shifts, for none are at hand here.
"""
import collections
import math
import pathlib
import re
import subprocess
import sys
import warnings

import pyproj
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection

# WGS 84 without an epoch is no more exact than this, m.
NEAR = 2.0
# Accuracy that needs no word, m, and the worst that is good enough.
EXACT, ROUGH = 5.0, 50.0
# Places along each side of a system's area of use.
SIDE = 7

warnings.filterwarnings("ignore")
pyproj.network.set_network_enabled(False)
WGS84 = CRS("EPSG:4326")
EARTH = pyproj.Geod(ellps="WGS84")
crate = pathlib.Path(sys.argv[1])


def converter(*args, text=""):
    run = ["cargo", "run", "--quiet", "--offline", "-p", "marquetry-raster", "--example", "lon_lat", "--", *args]
    return subprocess.run(run, cwd=crate, input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def places(code):
    """Places all over the area of use: x, y, longitude, latitude, accuracy and name of the way that PROJ took."""
    system = CRS.from_epsg(code)
    to = Transformer.from_crs(system, WGS84, always_xy=True)
    west, south, east, north = system.area_of_use.bounds
    east += 360.0 if east < west else 0.0
    for i in range(SIDE):
        for j in range(SIDE):
            lon = west + (east - west) * (i + 0.5) / SIDE
            lat = south + (north - south) * (j + 0.5) / SIDE
            x, y = to.transform((lon + 180) % 360 - 180, lat, direction=TransformDirection.INVERSE)
            lon, lat = to.transform(x, y)
            if not all(map(math.isfinite, (x, y, lon, lat))):
                continue
            try:
                way = to.get_last_used_operation()
            except Exception:  # There is but one way.
                way = to
            yield x, y, lon, lat, way.accuracy, way.description, way


def shift(way):
    """The seven numbers of a way's shift, as `towgs84` has them; nothing where it is of another kind."""
    steps = [step for step in (way.to_proj4() or "").split("+step") if "+proj=helmert" in step]
    if len(steps) != 1 or "+t_epoch" in steps[0] or "+dx" in steps[0]:
        return None
    value = lambda key: float((re.search(rf"\+{key}=(\S+)", steps[0]) or [0, 0])[1])
    turned = -1.0 if "coordinate_frame" in steps[0] else 1.0
    back = -1.0 if "+inv" in steps[0] else 1.0
    if back < 0 and any(value(key) for key in ("rx", "ry", "rz", "s")):
        return None
    return ",".join(
        f"{number:.10g}"
        for number in (
            *(back * value(key) for key in "xyz"),
            *(turned * value(key) + 0.0 for key in ("rx", "ry", "rz")),
            value("s"),
        )
    )


def far(mine, theirs):
    lon, lat = mine
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lat) <= 90.1):
        return math.inf
    return EARTH.inv(theirs[2], theirs[3], lon, lat)[2]


known = dict(line.split("\t") for line in converter("list"))
known = {int(code): text for code, text in known.items() if "+proj=geocent" not in text}
found, shifts = {}, {}
for code in known:
    try:
        found[code] = list(places(code))
    except Exception as error:
        print(code, type(error).__name__, str(error)[:80], file=sys.stderr)


def modern(text):
    """No shift, on the ellipsoid of satellites."""
    if "+nadgrids" in text and "+nadgrids=@null" not in text:
        return False
    named = re.search(r"\+towgs84=(\S+)", text)
    if named and any(float(number) for number in named[1].split(",")):
        return False
    return bool(re.search(r"\+datum=(WGS84|NAD83)|\+ellps=(GRS80|WGS84|GSK2011)|\+nadgrids=@null", text))


def judged(texts):
    """By code: how far off each is at most, m, and how exact PROJ is there."""
    asked, lines = [], []
    for code, text in texts.items():
        for at in found.get(code, []):
            ballpark = "allpark" in at[5]
            if ballpark and not modern(text):
                continue
            asked.append((code, at, 0.0 if ballpark else at[4]))
            lines.append(f"{text}\t{at[0]!r}\t{at[1]!r}\n")
    out = {}
    for (code, at, accuracy), line in zip(asked, converter(text="".join(lines)), strict=True):
        off = far(tuple(map(float, line.split())), at)
        most, exact, count = out.get(code, (0.0, 0.0, 0))
        out[code] = (max(most, off), max(exact, accuracy), count + 1)
    # What PROJ itself knows of hardly any place of the area is not known.
    return {code: it for code, it in out.items() if it[2] * 2 >= len(found[code])}


plain = judged(known)
print("compared", len(plain), "within", sum(it[0] <= NEAR for it in plain.values()), file=sys.stderr)
other = {}
for code, text in known.items():
    if code in plain and plain[code][0] <= NEAR:
        continue
    ways = {}
    for at in found.get(code, []):
        if "allpark" not in at[5]:
            ways.setdefault(shift(at[6]), []).append(at)
    numbers = max(ways, key=lambda key: len(ways[key]), default=None)
    if numbers and ("+towgs84=" in text or "+datum" not in text) and "+nadgrids" not in text:
        bare = re.sub(r" \+towgs84=\S+", "", text)
        other[code] = (numbers, f"{bare} +towgs84={numbers}")
mended = judged({code: text for code, (_, text) in other.items()})
mended = {code: it for code, it in mended.items() if it[0] <= NEAR and it[1] <= ROUGH}
print("mended", len(mended), "of", len(other), file=sys.stderr)

good = {code: it for code, it in plain.items() if it[0] <= NEAR and it[1] <= ROUGH} | mended


def ranges(codes):
    """Runs of codes; codes that are not known lie within them as well as not."""
    runs, last = [], None
    order = sorted(known)
    place = {code: at for at, code in enumerate(order)}
    for code in sorted(codes):
        if last is not None and place[code] == place[last] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
        last = code
    return runs


by_accuracy = collections.defaultdict(list)
for code, (_, accuracy, _) in good.items():
    by_accuracy[0 if accuracy <= EXACT else math.ceil(accuracy)].append(code)
by_shift = collections.defaultdict(list)
for code in mended:
    by_shift[other[code][0]].append(code)


def table(name, kind, about, entries):
    lines = [f"/// {line}" for line in about]
    lines += [f"pub(super) const {name}: &[{kind}] = &["]
    lines += [f"    {entry}," for entry in entries]
    return "\n".join([*lines, "];"])


folder = crate / "src/write/map_frame"
folder.mkdir(exist_ok=True)


def module(name, title, body):
    by = f"by comparison with PROJ {pyproj.proj_version_str}"
    head = f"//! {title}, {by}.\n//!\n//! `xtask/devtools/python/map_systems.py` writes this file.\n\n"
    (folder / name).write_text(head + body + "\n")
    subprocess.run(["rustfmt", "--edition", "2024", folder / name], check=True)


module(
    "shifts.rs",
    "Shifts of datums that differ from those of `crs-definitions`",
    table(
        "SHIFTS",
        "(&str, &[(u16, u16)])",
        ["Shifts of datums for which `crs-definitions` has numbers that PROJ has not: `towgs84`, and codes from first to last."],
        [f'("{numbers}", &{[tuple(run) for run in ranges(codes)]})' for numbers, codes in sorted(by_shift.items())],
    ),
)
module(
    "systems.rs",
    "Which reference systems are converted to longitude and latitude",
    table(
        "CONVERTED",
        "(u16, &[(u16, u16)])",
        [
            f"How exact PROJ calls its own way, m (0 where that is {EXACT:g} m or better), and codes from first to last that come within",
            f"{NEAR:g} m of where it leads, all over their area of use.",
        ],
        [f"({metres}, &{[tuple(run) for run in ranges(codes)]})" for metres, codes in sorted(by_accuracy.items())],
    ),
)

# One place for each way of projecting, each shift and each accuracy, well inside the area.
seen, sample = set(), []
for code in sorted(good):
    text = known[code]
    kind = (
        re.search(r"\+proj=(\S+)", text)[1],
        *sorted(re.findall(r"\+(?:datum|ellps|towgs84|units|axis|pm|a)=\S+", text)),
        code in mended and other[code][0],
    )
    if kind not in seen:
        seen.add(kind)
        at = found[code][len(found[code]) // 2]
        sample.append(f"{code}\t{at[0]:.3f}\t{at[1]:.3f}\t{at[2]:.7f}\t{at[3]:.7f}\n" if abs(at[0]) > 400 else f"{code}\t{at[0]:.7f}\t{at[1]:.7f}\t{at[2]:.7f}\t{at[3]:.7f}\n")
(folder / "places.tsv").write_text("".join(sample))
print("places", len(sample), "ranges", sum(len(ranges(codes)) for codes in by_accuracy.values()), file=sys.stderr)
for code in sorted(set(known) - set(good)):
    print(code, CRS.from_epsg(code).name if code in found else "", plain.get(code), known[code], sep="\t")
