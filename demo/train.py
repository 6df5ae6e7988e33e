#!/usr/bin/env python3
"""Trains a small ensemble for semantic segmentation and exports each member to ONNX.

The data is a folder with images/*.png (RGB), masks/*.png of the same names (grey or palette, class indices; 255 is
left out of account) and folds.csv (columns image,fold). A member of fold f learns from the images of the other folds and is validated on f;
images whose fold is anything but 0..K-1, such as `test`, are never read. Members differ by fold, by seed (start
values, order and the strength of the augmentation) and by epoch: snapshots are taken while the learning rate is
still high, so that they are not copies of each other.

Every file is a graph from `image` [N, 3, H, W], float32, (pixel / 255 - mean) / std with ImageNet's mean and std, to
`logits` [N, classes, H, W]. N, H and W are free.
"""

import argparse
import csv
import json
import math
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# Must be set before CUDA starts: cuBLAS is deterministic only with a fixed workspace.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
BATCH = 8
IGNORE = 255


class Block(nn.Sequential):
    """A 3x3 convolution with batch norm, which the export folds into the convolution."""

    def __init__(self, inputs, outputs, stride=1, dilation=1):
        conv = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class SmallUNet(nn.Module):
    """A U-Net on half the resolution: three levels, skips added rather than joined, any height and width."""

    def __init__(self, classes, width):
        super().__init__()
        w1, w2, w3 = width, 2 * width, 4 * width
        self.stem = nn.Sequential(Block(3, w1, stride=2), Block(w1, w1))
        self.quarter = nn.Sequential(Block(w1, w2, stride=2), Block(w2, w2))
        self.eighth = nn.Sequential(Block(w2, w3, stride=2), Block(w3, w3, dilation=2), Block(w3, w3, dilation=4))
        self.lift2, self.join2 = nn.Conv2d(w3, w2, 1), Block(w2, w2)
        self.lift1, self.join1 = nn.Conv2d(w2, w1, 1), Block(w1, w1)
        self.head = nn.Conv2d(w1, classes, 1)

    def forward(self, image):
        half = self.stem(image)
        quarter = self.quarter(half)
        deep = self.eighth(quarter)
        quarter = self.join2(quarter + resize(self.lift2(deep), quarter))
        half = self.join1(half + resize(self.lift1(quarter), half))
        return resize(self.head(half), image)


def resize(values, like):
    return F.interpolate(values, size=like.shape[-2:], mode="bilinear", align_corners=False)


@dataclass
class Sample:
    image: torch.Tensor  # [3, H, W], 0..1
    mask: torch.Tensor  # [1, H, W], class indices as floats, for grid_sample


def load_folds(data, folds, device):
    """The samples of each fold 0..folds-1, on the device."""
    samples = [[] for _ in range(folds)]
    with open(data / "folds.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["fold"].isdigit() and int(row["fold"]) < folds:
                image = np.asarray(Image.open(data / "images" / row["image"]).convert("RGB"))
                mask = np.array(Image.open(data / "masks" / row["image"]))
                image = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
                sample = Sample(image.to(device), torch.from_numpy(mask).float()[None].to(device))
                samples[int(row["fold"])].append(sample)
    return samples


class Augment:
    """Crops turned, scaled and mirrored, with changed light. How much of each is drawn once, by the seed."""

    def __init__(self, rng, size):
        self.rng, self.size = rng, size
        self.zoom = rng.uniform(0.1, 0.45)
        self.light = rng.uniform(0.08, 0.30)
        self.tint = rng.uniform(0.02, 0.12)
        self.noise = rng.uniform(0.0, 0.04)
        self.tilt = rng.uniform(0.0, 0.5)

    def __call__(self, sample):
        rng = self.rng
        height, width = sample.image.shape[-2:]
        zoom = math.exp(rng.uniform(-self.zoom, self.zoom))
        angle = rng.integers(4) * math.pi / 2 + rng.uniform(-self.tilt, self.tilt)
        mirror = rng.choice([-1.0, 1.0])
        reach = self.size / zoom / 2
        middle = [rng.uniform(min(reach, side / 2), max(side - reach, side / 2)) for side in (width, height)]
        # Rows of the matrix give x and y in the source, in grid_sample's units of half the image's side.
        cos, sin = math.cos(angle) * reach, math.sin(angle) * reach
        theta = torch.tensor([
            [mirror * cos * 2 / width, -sin * 2 / width, middle[0] * 2 / width - 1],
            [mirror * sin * 2 / height, cos * 2 / height, middle[1] * 2 / height - 1],
        ], dtype=torch.float32)
        grid = F.affine_grid(theta[None], [1, 1, self.size, self.size], align_corners=False)
        grid = grid.to(sample.image.device)
        options = {"padding_mode": "reflection", "align_corners": False}
        image = F.grid_sample(sample.image[None], grid, mode="bilinear", **options)[0]
        mask = F.grid_sample(sample.mask[None], grid, mode="nearest", **options)[0, 0]
        return self.relight(image), mask.long()

    def relight(self, image):
        rng = self.rng
        gain = torch.tensor(np.exp(rng.normal(0, self.tint, 3)), dtype=torch.float32).view(3, 1, 1)
        gain = gain * math.exp(rng.normal(0, self.light))
        gamma = math.exp(rng.normal(0, self.light / 2))
        image = image.clamp(min=1e-4) ** gamma * gain.to(image.device)
        if self.noise:
            seed = int(rng.integers(2**31))
            # Drawn on the CPU, so that a seed gives the same numbers on every device.
            noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
            image = image + rng.uniform(0, self.noise) * noise.to(image.device)
        return image.clamp(0, 1)


def normalise(images):
    return (images - MEAN.to(images.device)) / STD.to(images.device)


def validate(model, samples, classes):
    """Mean IoU over the classes that occur, all pixels of all images counted together."""
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    model.eval()
    with torch.inference_mode():
        for sample in samples:
            label = model(normalise(sample.image[None]))[0].argmax(0).cpu()
            truth = sample.mask[0].long().cpu()
            known = truth != IGNORE
            pairs = truth[known] * classes + label[known]
            matrix += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    hit = matrix.diag().double()
    union = matrix.sum(0) + matrix.sum(1) - matrix.diag()
    return (hit[union > 0] / union[union > 0]).mean().item()


def export(model, path, options):
    """Writes the model in evaluation mode, with batch norms folded, and says in its metadata what the classes are."""
    model = model.cpu().eval()
    example = torch.zeros(1, 3, options.size, options.size)
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        model, (example,), str(path), opset_version=17, dynamo=False,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": axes, "logits": axes},
    )
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"class_names": json.dumps(options.names)})
    onnx.save(graph, path)


def train(options, fold, seed):
    """Trains one fold with one seed; returns (file name, validation mIoU) for every snapshot."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(1000 * seed + fold)
    rng = np.random.default_rng([seed, fold])
    # The strengths hang on the seed alone: members of one seed share a way of training, over all folds.
    augment = Augment(np.random.default_rng(seed), options.size)
    augment.rng = rng

    folds = load_folds(options.data, options.folds, options.device)
    held_out = folds[fold]
    # Every image comes up as often as crops are needed to cover its area.
    visits = [
        sample
        for other, samples in enumerate(folds) if other != fold
        for sample in samples
        for _ in range(math.ceil(sample.mask.numel() / options.size**2))
    ]
    model = SmallUNet(options.classes, options.width).to(options.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-3)
    steps = math.ceil(len(visits) / BATCH)
    warm_up = min(2 * steps, 100)
    # Down to a third only: at the end members still move, and their errors stay their own.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / warm_up)
        * (2 + math.cos(math.pi * min(1.0, step / (steps * options.epochs)))) / 3,
    )
    scores = []
    for epoch in range(1, options.epochs + 1):
        model.train()
        order = rng.permutation(len(visits))
        for start in range(0, len(order), BATCH):
            batch = [augment(visits[index]) for index in order[start : start + BATCH]]
            images, masks = (torch.stack(part) for part in zip(*batch))
            loss = F.cross_entropy(model(normalise(images)), masks, ignore_index=IGNORE)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        if epoch in options.keep_epochs:
            name = f"fold{fold}_seed{seed}_epoch{epoch}.onnx"
            scores.append((name, validate(model, held_out, options.classes)))
            print(f"{name}  validation mIoU {scores[-1][1]:.4f}  loss {loss.item():.3f}", flush=True)
            export(model, options.out / name, options)
            model.to(options.device)
    return scores


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/, masks/ and folds.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX files and scores.csv")
    parser.add_argument("--classes", type=int, required=True, help="number of classes")
    parser.add_argument("--names", type=lambda text: text.split(","), help="class names, separated by commas [default: the lines of classes.txt]")
    parser.add_argument("--folds", type=int, required=True, help="number of folds")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--keep-epochs", type=lambda text: [int(epoch) for epoch in text.split(",")],
                        help="epochs to export, separated by commas [default: the last]")
    parser.add_argument("--size", type=int, default=192, help="side of the training crops in pixels")
    parser.add_argument("--width", type=int, default=12, help="channels of the first level")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--jobs", type=int, default=1, help="members trained at a time, each in its own process")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads a process [default: PyTorch's]")
    options = parser.parse_args()
    options.keep_epochs = options.keep_epochs or [options.epochs]
    listed = options.data / "classes.txt"
    if not options.names and listed.exists():
        options.names = listed.read_text().split()
    options.names = options.names or [f"class{index}" for index in range(options.classes)]
    if len(options.names) != options.classes:
        parser.error(f"{len(options.names)} names ({', '.join(options.names)}) for {options.classes} classes")
    if not all(1 <= epoch <= options.epochs for epoch in options.keep_epochs):
        parser.error(f"--keep-epochs must lie in 1..{options.epochs}")
    return options


def main():
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    parameters = sum(p.numel() for p in SmallUNet(options.classes, options.width).parameters())
    print(f"{parameters} parameters a member, on {options.device}", flush=True)
    began = time.monotonic()
    # Fresh processes: CUDA does not survive a fork.
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        runs = [
            pool.submit(train, options, fold, seed)
            for fold in range(options.folds) for seed in range(options.seeds)
        ]
        scores = sorted(score for run in runs for score in run.result())
    with open(options.out / "scores.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "validation_miou"])
        writer.writerows((name, f"{score:.4f}") for name, score in scores)
    mean = sum(score for _, score in scores) / len(scores)
    print(f"{len(scores)} members, mean validation mIoU {mean:.4f}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
