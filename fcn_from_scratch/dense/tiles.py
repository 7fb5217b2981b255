"""Very large pictures in tiles: every tile is predicted alone, and together they give the scores of the whole picture.

The network's layers pad a tile's maps with zeros where the whole picture has numbers. Scores near such a border are
wrong. `untouched` finds out which scores are right. It walks along the network: a number of a map is right
if its layer read only right numbers. So tiles overlap, and of each tile only the right scores are kept. A side of a
tile that is a side of the picture has no wrong scores: there the whole picture is padded with zeros too.

The paper's networks pad the picture itself by 100. An FCN gets the pixels around the tile there (FCN.on_window). So
more scores are right: with FCN-8s 1288 of 1536 in a row, instead of 1096.

Tiles start at multiples of the network's stride, where its pools cut the tile as they cut the whole picture.
"""

from math import lcm
from typing import NamedTuple

from fcn_from_scratch import checks, geometry, layers
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.layers.container import has_known_forward
from fcn_from_scratch.layers.window import declared_window
from fcn_from_scratch.progress import bar

SIZE = 1536  # pixels: FCN-8s then does half as much work again as for the whole; smaller tiles overlap more


class Tile(NamedTuple):
    """One tile of a picture. Both are pairs of slices, rows and columns of the picture.

    read   the pixels that the network reads
    keep   the scores that are kept; over all tiles every pixel is kept once
    """

    read: tuple
    keep: tuple

    @property
    def inside(self):
        """Where the scores that are kept lie in the tile."""
        return tuple(slice(k.start - r.start, k.stop - r.start) for r, k in zip(self.read, self.keep))

    @property
    def size(self):
        """(height, width) of what is read."""
        return tuple(read.stop - read.start for read in self.read)


class TiledPredictor:
    """A network that predicts a large picture tile by tile, in the memory of a tile: predictor = TiledPredictor(model).

    predictor(x) is model(x), with x (N, C, H, W) of any size that the network takes; in eval mode.
    predictor.pieces(x) yields (rows, columns, scores) for each tile, for scores that would not fit into memory as a
    whole.

    size      the longest side of a tile, in pixels
    progress  show a bar that counts the tiles
    Identity: predictor(x) == model(x) up to rounding  (tests/dense/test_tiles.py).
    Raises: InputError for a network whose scores depend on more than a window of the picture, or that gives none at
    the picture's size; for a `size` too small to leave any right scores.
    Source: the receptive field, Long et al. 2015, section 3. Lesson 6.
    """

    def __init__(self, model, size=SIZE, progress=False):
        self.model, self.size, self.progress = model, checks.integer(size, "size", 1), progress
        self.stride, self.margin = _alignment(model), _margin(model)
        self.plan((4 * self.size, 4 * self.size))  # a size that is too small is refused now

    def __call__(self, x):
        whole = None
        for rows, columns, scores in self.pieces(x):
            if whole is None:
                whole = _like(scores, x.shape[2:])
            for target, part in zip(_each(whole), _each(scores)):
                target[:, :, rows, columns] = part
        return whole

    def pieces(self, x):
        """Yield (rows, columns, scores) of each tile: where the scores (N, num_classes, h, w) lie in the picture.

        For a network with several heads the scores are a tuple.
        """
        checks.ndim(x, 4, "x", "(N, C, H, W)")
        if self.model.training:
            raise checks.InputError("tiles are for a network in eval mode, which keeps no maps: call model.eval()")
        tiles = self.plan(x.shape[2:])
        for tile in bar(tiles, disable=not self.progress or len(tiles) == 1, unit="tile", leave=None):
            scores = self.model(x) if len(tiles) == 1 else self._scores(x, tile)
            kept = tuple(part[(..., *tile.inside)] for part in _each(scores))
            yield (*tile.keep, kept if isinstance(scores, tuple) else kept[0])

    def _scores(self, x, tile):
        if self.margin == (0, 0):
            return self.model(x[(..., *tile.read)])
        (down, across), (height, width) = self.margin, tile.size
        window = get_array_module(x).zeros((*x.shape[:2], height + 2 * down, width + 2 * across), x.dtype)
        source, target = [], []
        for read, margin, length in zip(tile.read, self.margin, x.shape[2:]):
            first, end = max(read.start - margin, 0), min(read.stop + margin, length)
            source.append(slice(first, end))
            target.append(slice(first - read.start + margin, end - read.start + margin))
        window[(..., *target)] = x[(..., *source)]
        return self.model.on_window(window, tile.size)

    def plan(self, size):
        """The list of Tile for a picture of `size` (H, W)."""
        down, across = (self._along(axis, n) for axis, n in enumerate(checks.pair(size, "size", 1)))
        return [Tile((r, c), (kr, kc)) for r, kr in down for c, kc in across]

    def work(self, size):
        """The multiply-adds of all tiles, as a multiple of those for the whole picture of `size` (H, W)."""
        found = {shape: geometry.table(self.model, shape).multiply_adds for shape in self._shapes(size)}
        whole = geometry.table(self.model, size).multiply_adds
        return sum(found[tile.size] for tile in self.plan(size)) / whole

    @property
    def transform(self):
        """The model's preprocessing, which turns a picture into x."""
        return self.model.transform

    def _shapes(self, size):
        return {tile.size for tile in self.plan(size)}

    def _along(self, axis, length):
        """(read, keep) of each tile along one axis of a picture of this length."""
        if length <= self.size:
            return [(slice(0, length), slice(0, length))]
        stride, found, done = self.stride[axis], [], 0
        wrong, right = self._untouched(axis)
        if right - wrong < stride:
            raise checks.InputError(f"tiles of {self.size} pixels are {self._too_small(axis)}")
        while done < length:
            start = max(done - wrong, 0) // stride * stride
            stop = min(start + self.size, length)
            end = length if stop == length else start + right
            found.append((slice(start, stop), slice(done, end)))
            done = end
        return found

    def _untouched(self, axis):
        """The scores of a tile in the middle of a picture that are right."""
        return untouched(self.model, self.size, axis, before=True, behind=True, margin=self.margin[axis])

    def _too_small(self, axis):
        """Why no score of a tile is right, and which size has enough."""
        first, end = self._untouched(axis)
        needed = self.size + first - end + 2 * self.stride[axis]
        return f"too small for {self.model.label}: its scores near a tile's border are wrong; use {needed} or more"


def untouched(model, size, axis=0, before=False, behind=False, margin=0):
    """(first, end): the scores of a tile that are those of the whole picture, along one axis.

    size     the tile's length
    before   whether the picture goes on before the tile
    behind   whether it goes on behind the tile
    margin   how many pixels around the tile the network sees, see FCN.on_window
    The tile must start at a multiple of the network's stride.
    Identity: other pixels outside the tile do not change these scores, and change the next ones
    (tests/dense/test_tiles.py).
    """
    nodes = geometry.graph(model)
    sizes = {name: found.size[axis] for name, found in geometry.map_sizes(model, size).items()}
    right = {"image": (-margin, size + margin)}
    for node in nodes:
        first, end = _after(node, [right[source] for source in node.sources], axis)
        right[node.name] = max(first, 0) if before else 0, min(end, sizes[node.name]) if behind else sizes[node.name]
    found = [right[name] for name in _outputs(nodes)]
    return max(first for first, _ in found), min(end for _, end in found)


def _after(node, before, axis):
    """The first number of a layer's output that is right, and the one after the last, given those of its inputs."""
    layer = node.layer
    if isinstance(layer, layers.SkipFusion):
        offset = layer.offset[axis]
        (first, end), (fine_first, fine_end) = before
        coarse, fine = max(-offset, 0), max(offset, 0)
        return max(first - coarse, fine_first - fine), min(end - coarse, fine_end - fine)
    if not layer.joins:
        before = (
            before[:1] if isinstance(layer, layers.Crop) else before[:1] + before[2:]
        )  # of an unpooling: its pool's
    first, end = max(first for first, _ in before), min(end for _, end in before)
    if layer.joins:
        return first, end
    k, s, p, d = (pair[axis] for pair in declared_window(layer)[:4])
    reach = d * (k - 1)
    if layer.window.transposed:
        return s * (first - 1) + 1 + reach - p, s * end - p
    return -(-(first + p) // s), (end - 1 + p - reach) // s + 1


def _outputs(nodes):
    """The names of the maps that no layer reads."""
    read = {source for node in nodes for source in node.sources}
    return [node.name for node in nodes if node.name not in read]


def _alignment(model):
    """The (vertical, horizontal) distance of which every tile's start must be a multiple.

    Raises: InputError for a network that cannot be predicted in tiles.
    """
    label = getattr(model, "label", type(model).__name__)
    try:
        nodes = geometry.graph(model)
        grids = geometry.grids(nodes)
    except ValueError as error:
        raise checks.InputError(f"{label} cannot be predicted in tiles: {error}") from None
    far = [node.layer.label for node in nodes if not node.layer.joins and not _has_window(node)]
    if far or None in grids.values():
        which = far[0] if far else next(name for name, grid in grids.items() if grid is None)
        raise checks.InputError(f"{label} cannot be predicted in tiles: {which} does not read a window of the picture")
    if any(axis.stride != 1 or axis.start != 0 for name in _outputs(nodes) for axis in grids[name].axes):
        raise checks.InputError(f"{label} cannot be predicted in tiles: its scores do not have the picture's size")
    return tuple(lcm(*(grid.axes[axis].stride.numerator for grid in grids.values())) for axis in (0, 1))


def _margin(model):
    """How many pixels around a tile the network can take: those that its first layer's padding stands for."""
    if not hasattr(model, "on_window") or not has_known_forward(model):
        return 0, 0
    first = geometry.graph(model)[0].layer
    return first.padding if type(first) is layers.Conv2d else (0, 0)


def _has_window(node):
    return isinstance(node.layer, layers.SkipFusion) or declared_window(node.layer) is not None


def _each(scores):
    return scores if isinstance(scores, tuple) else (scores,)


def _like(scores, size):
    """Empty arrays for the scores of a whole picture."""
    made = tuple(get_array_module(part).empty((*part.shape[:2], *size), part.dtype) for part in _each(scores))
    return made if isinstance(scores, tuple) else made[0]
