"""A search for the best of a few numbers where every try costs and nothing is known but its score.

An evolution strategy with weighted recombination: each generation tries points scattered around a centre and
moves the centre to the weighted mean of the better half; the scatter narrows from one to the next. A mean of
good points carries over to what was not tried better than the single best one, which owes something to luck.

References:
    Hansen & Ostermeier (2001): Completely derandomized self-adaptation in evolution strategies. Evolutionary
        Computation 9(2), 159–195 (the recombination, without its adaptation of the scatter's shape, which
        needs more tries than are made here).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FIRST_SCATTER = 0.25  # standard deviation, of the box's sides
NARROWING = 0.8  # of the scatter, per generation


def evolve(
    scores: Callable[[Floats], Floats],
    start: Floats,
    *,
    generations: int,
    offspring: int,
    rng: np.random.Generator,
) -> Floats:
    """Look for high scores in the unit box, several searches side by side.

    Args:
        scores: of (offspring, searches, numbers), as (offspring, searches).
        start: (searches, numbers), the first centres, which are tried too; 0 to 1.
        generations: how often the centres move.
        offspring: tries per generation.
        rng: scatters them, all searches alike.

    Returns:
        (searches, numbers), the last centres.
    """
    parents = offspring // 2
    weights = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    center, scatter = start, FIRST_SCATTER
    for generation in range(generations):
        steps = scatter * rng.standard_normal((offspring, 1, start.shape[1]))
        if generation == 0:
            steps[0] = 0
        tried = np.clip(center + steps, 0, 1)
        best = np.argsort(-scores(tried), axis=0, kind="stable")[:parents]
        better = np.take_along_axis(tried, best[:, :, np.newaxis], axis=0)
        center = np.average(better, axis=0, weights=weights)
        scatter *= NARROWING
    return center
