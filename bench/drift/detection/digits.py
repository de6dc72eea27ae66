"""Small pictures of digits, a model of them, and what can happen to pictures.

After "Failing Loudly" (Rabanser, Günnemann, Lipton, NeurIPS 2019): shifts of the same names
and, on a scale of 16 grey levels of 8 x 8 pixels, of the same strengths. Grey levels get
uniform noise of one level, in the reference too and after the shift: otherwise any disturbance
is seen by values that never were there, which is an artefact of the data.

Rule: nothing here knows how drift is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

SIDE = 8
PIXELS = SIDE * SIDE
CLASSES = 10
LEVELS = 16.0
TRAINING, REFERENCE, LARGEST = 497, 600, 500  # the rest is what current samples are drawn of
SHARES = (0.1, 0.5, 1.0)  # of a sample that is shifted
NONE = "no shift"
NOISES = {  # standard deviation, in 255ths of the range
    "small Gaussian noise": 1.0,
    "medium Gaussian noise": 10.0,
    "large Gaussian noise": 100.0,
}
TURNS = {  # degrees, share of the side, share of the size
    "small image": (10.0, 0.05, 0.1),
    "medium image": (40.0, 0.2, 0.2),
    "large image": (90.0, 0.4, 0.4),
}
ADVERSARIAL = "adversarial"
KNOCK_OUT = "class knock-out"
BOTH = "medium image + knock-out"
ONLY_ZERO = "only-zero + medium image"
SHIFTS = (*NOISES, *TURNS, ADVERSARIAL, KNOCK_OUT, BOTH, ONLY_ZERO)


class Model(NamedTuple):
    """A perceptron with one layer between."""

    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats

    def hidden(self, images: Floats) -> Floats:
        """The layer between."""
        return np.asarray(np.maximum(images / LEVELS @ self.first + self.first_bias, 0.0))

    def probabilities(self, images: Floats) -> Floats:
        """Of the classes."""
        return np.asarray(
            special.softmax(self.hidden(images) @ self.second + self.second_bias, axis=1)
        )

    def against(self, images: Floats, labels: Labels) -> Floats:
        """The direction in which each pixel makes the right answer less likely (FGSM)."""
        wrong = self.probabilities(images) - np.eye(CLASSES)[labels]
        back = wrong @ self.second.T * (self.hidden(images) > 0)
        return np.asarray(np.sign(back @ self.first.T))


def trained(rng: np.random.Generator, images: Floats, labels: Labels, width: int = 32) -> Model:
    """By Adam, 40 times through the pictures."""
    model = Model(
        rng.normal(0, 0.15, (images.shape[1], width)),
        np.zeros(width),
        rng.normal(0, 0.2, (width, CLASSES)),
        np.zeros(CLASSES),
    )
    moments = [(np.zeros_like(part), np.zeros_like(part)) for part in model]
    step = 0
    for _ in range(40):
        for rows in np.array_split(rng.permutation(len(images)), max(len(images) // 50, 1)):
            step += 1
            slopes = _slopes(model, images[rows], labels[rows])
            for part, slope, moment in zip(model, slopes, moments, strict=True):
                _step(part, slope, moment, step)
    return model


def _step(part: Floats, slope: Floats, moment: tuple[Floats, Floats], step: int) -> None:
    """Down the slope, in place."""
    mean, square = moment
    mean += 0.1 * (slope - mean)
    square += 0.001 * (slope**2 - square)
    down = mean / (1 - 0.9**step)
    part -= 0.005 * down / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)


def _slopes(model: Model, images: Floats, labels: Labels) -> tuple[Floats, ...]:
    hidden = model.hidden(images)
    wrong = (model.probabilities(images) - np.eye(CLASSES)[labels]) / len(images)
    back = wrong @ model.second.T * (hidden > 0)
    return images.T @ back / LEVELS, back.sum(axis=0), hidden.T @ wrong, wrong.sum(axis=0)


class Sample(NamedTuple):
    """Pictures of a current window, in the order they came."""

    shift: str
    share: float
    images: Floats


class Split(NamedTuple):
    """One seed's pictures."""

    model: Model
    reference: Floats
    pool: Floats  # on whole levels
    labels: Labels  # of the pool


def split(rng: np.random.Generator, images: Floats, labels: Labels) -> Split:
    """Pictures for the model, the reference and the samples, none in two of them."""
    order = rng.permutation(len(images))
    plain, of = images[order], labels[order]
    end = TRAINING + REFERENCE
    seen = greyed(rng, plain[:end])
    model = trained(rng, seen[:TRAINING], of[:TRAINING])
    return Split(model, seen[TRAINING:], plain[end:], of[end:])


def greyed(rng: np.random.Generator, images: Floats) -> Floats:
    """Between the levels, as a camera would have it."""
    return images + rng.uniform(-0.5, 0.5, images.shape)


def samples(rng: np.random.Generator, given: Split) -> Iterator[Sample]:
    """One without a shift, then each shift at each share."""
    yield Sample(NONE, 0.0, greyed(rng, _drawn(rng, given)[0]))
    for shift in SHIFTS:
        for share in SHARES:
            yield Sample(shift, share, greyed(rng, _shifted(rng, given, shift, share)))


def _drawn(
    rng: np.random.Generator, given: Split, kept: NDArray[np.bool_] | None = None
) -> tuple[Floats, Labels]:
    """Pictures of the pool in some order, again from the start where there are too few."""
    at = np.arange(len(given.pool)) if kept is None else np.flatnonzero(kept)
    rows = rng.permutation(at)
    if len(rows) < LARGEST:
        rows = np.concatenate([rows, rng.choice(at, LARGEST - len(rows))])
    rows = rows[:LARGEST]
    return given.pool[rows], given.labels[rows]


def _shifted(rng: np.random.Generator, given: Split, shift: str, share: float) -> Floats:
    if shift in {KNOCK_OUT, BOTH}:
        kept = (given.labels != 0) | (rng.random(len(given.labels)) >= share)
        images, labels = _drawn(rng, given, kept)
    elif shift == ONLY_ZERO:
        images, labels = _drawn(rng, given, given.labels == 0)
    else:
        images, labels = _drawn(rng, given)
    if shift == KNOCK_OUT:
        return images
    hit = np.flatnonzero(rng.random(len(images)) < share)
    if shift in NOISES:
        changed = rng.normal(images[hit], NOISES[shift] / 255 * LEVELS)
    elif shift == ADVERSARIAL:
        changed = images[hit] + 0.1 * LEVELS * given.model.against(images[hit], labels[hit])
    else:
        changed = turned(rng, images[hit], *TURNS[shift if shift in TURNS else "medium image"])
    images[hit] = changed
    return images


def turned(
    rng: np.random.Generator, images: Floats, turn: float, move: float, zoom: float
) -> Floats:
    """Each picture turned, moved and zoomed by as much as this, to either side."""
    count = len(images)
    angle = np.deg2rad(rng.uniform(-turn, turn, (count, 1, 1)))
    scale = 1 + rng.uniform(-zoom, zoom, (count, 1, 1))
    away = rng.uniform(-move * SIDE, move * SIDE, (2, count, 1, 1))
    middle = (SIDE - 1) / 2
    y, x = np.meshgrid(np.arange(SIDE) - middle, np.arange(SIDE) - middle, indexing="ij")
    rows = (np.cos(angle) * y - np.sin(angle) * x) / scale + middle + away[0]
    columns = (np.sin(angle) * y + np.cos(angle) * x) / scale + middle + away[1]
    pictures = np.broadcast_to(np.arange(count)[:, None, None], rows.shape)
    cube = images.reshape(count, SIDE, SIDE)
    # Why order 1: what lies between pixels; outside a picture is what is at its edge.
    found = ndimage.map_coordinates(cube, [pictures, rows, columns], order=1, mode="nearest")
    return np.asarray(found, np.float64).reshape(count, PIXELS)
