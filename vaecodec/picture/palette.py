"""Pictures in fewer colours: what screen content at low qualities is stored as, for it takes fewer bytes without loss then.

Integers alone, so one picture gives one result on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaecodec.picture.picture import Samples

Integers = npt.NDArray[np.int64]

MOST_COLOURS = 256
"""A palette holds so many: with more, WebP stores samples."""
_MOST_SEEN = 2048
"""Pictures with more colours have theirs grouped, the most frequent one of a group standing for all."""
_ROUNDS = 3
"""Of moving colours to the mean of the pixels that take them (Lloyd 1982)."""
_FIXED_SHARE = 32
"""A colour of one pixel in so many is a ground or a letter: it stays as it is."""
# Luma and two differences of colour, in 256ths; errors of luma count four times.
_SPACE = np.array([[77, 128, -43], [150, -107, -85], [29, -21, 128]])
_LUMA_WEIGHT = np.array([4, 1, 1])


class Palettes:
    """Palettes of a picture, from one colour to many: each holds those before it, but for a last adjustment.

    The next colour is always the one whose pixels are farthest off, all together.

    Attributes:
        errors: float64 [N], the weighted squared error per pixel with the first 1, 2, … N colours; ends where it is 0, or at
            MOST_COLOURS.
    """

    def __init__(self, samples: Samples) -> None:
        """Takes uint8 [H, W, C], C = 1 or 3."""
        self._samples = samples
        packed = _packed(samples)
        kept, counts, self._group = _grouped(packed)
        self._colours = np.stack([kept >> 16, kept >> 8 & 255, kept & 255], 1)
        self._places, self._counts = self._colours @ _SPACE, counts
        self._order, self.errors = self._greedy()

    def _greedy(self) -> tuple[list[int], npt.NDArray[np.float64]]:
        order = [int(np.argmax(self._counts))]
        distance = self._distances(self._places[order[0]])
        totals = [int(distance @ self._counts)]
        while totals[-1] and len(order) < min(MOST_COLOURS, len(self._counts)):
            order.append(int(np.argmax(distance * self._counts)))
            distance = np.minimum(distance, self._distances(self._places[order[-1]]))
            totals.append(int(distance @ self._counts))
        return order, np.array(totals) / (int(self._counts.sum()) << 16)

    def _distances(self, place: Integers) -> Integers:
        """Of each colour of the picture from one place: weighted squares, in 65,536ths."""
        difference = self._places - place
        squares: Integers = (difference * difference) @ _LUMA_WEIGHT
        return squares

    def reduced(self, count: int) -> Samples:
        """The picture in the first ``count`` colours, those of small areas moved to the mean of the pixels that take them."""
        chosen = self._order[:count]
        palette = self._colours[chosen].copy()
        free = self._counts[chosen] * _FIXED_SHARE < self._counts.sum()
        for _ in range(_ROUNDS):
            taken = self._nearest(palette)
            size = _sums(taken, self._counts, count)
            moved = free & (size > 0)
            for channel in range(3):
                total = _sums(taken, self._counts * self._colours[:, channel], count)
                palette[moved, channel] = (2 * total[moved] + size[moved]) // (2 * size[moved])
        pixels = palette[self._nearest(palette)][self._group]
        reduced: Samples = pixels[:, : self._samples.shape[2]].astype(np.uint8).reshape(self._samples.shape)
        return reduced

    def _nearest(self, palette: Integers) -> Integers:
        """For each colour of the picture the entry of a palette that it takes."""
        best = np.full(len(self._places), np.iinfo(np.int64).max)
        nearest = np.zeros(len(self._places), np.int64)
        for number, place in enumerate(palette @ _SPACE):
            distance = self._distances(place)
            closer = distance < best
            best[closer], nearest[closer] = distance[closer], number
        return nearest


def _packed(samples: Samples) -> Integers:
    """Samples as one number a pixel: int64 [H·W]."""
    rgb = np.broadcast_to(samples, (*samples.shape[:2], 3)).reshape(-1, 3).astype(np.int64)
    packed: Integers = rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    return packed


def _grouped(packed: Integers) -> tuple[Integers, Integers, Integers]:
    """The colours that stand for all, how many pixels each has, and for each pixel the number of its own."""
    colours, counts = np.unique(packed, return_counts=True)
    groups = np.arange(len(colours))
    for bits in range(1, 8):
        if len(colours) <= _MOST_SEEN or int(groups[-1]) < _MOST_SEEN:
            break
        mask = (0xFF >> bits << bits) * 0x010101
        groups = np.unique(colours & mask, return_inverse=True)[1].reshape(-1)
    number = int(groups.max()) + 1
    sizes = _sums(groups, counts, number)
    # The last one written stays: the most frequent, of equal ones the first.
    order = np.lexsort((-np.arange(len(colours)), counts))
    stands = np.zeros(number, np.int64)
    stands[groups[order]] = colours[order]
    return stands, sizes, groups[np.searchsorted(colours, packed)]


def _sums(groups: Integers, values: Integers, number: int) -> Integers:
    """Sums of integers by group, exactly: [number]."""
    sums = np.zeros(number, np.int64)
    np.add.at(sums, groups, values)
    return sums
