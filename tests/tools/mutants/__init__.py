"""A standing list of mistakes that the suite must notice, by room. ../mutate.py plants them, ../planting.py finds
their places in the package, and ../test_mutants.py, which runs with the suite, sees to it that all of them fit."""

from mutants import (
    activation,
    bench,
    cli,
    compare,
    convolution,
    course,
    datasets,
    dense,
    geometry,
    gradcheck,
    kernels,
    lab,
    layers,
    loss,
    metrics,
    models,
    own,
    own_pairs,
    parallel,
    plain,
    pooling,
    training,
    upsampling,
    weights,
    winograd,
)

ROOMS = [plain, convolution, winograd, pooling, upsampling, activation, loss, layers, geometry, models, dense, metrics]
ROOMS += [gradcheck, datasets, own, own_pairs, training, parallel, weights, kernels, cli, lab, bench, compare, course]
MUTANTS = [mutant for room in ROOMS for mutant in room.MUTANTS]
