"""How far the two classifiers can be trusted (section 2.2).

They are calibrated on constructed networks with known answers, under growing noise, and compared on generated ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from ..checks import as_generator
from ..network import Network
from ..task import L1
from .construct import Case, cases
from .explain import LABELS, explain
from .order_parameters import classify


def perturb(net: Network, noise: float, generator: torch.Generator) -> Network:
    """The network with normal noise on its first layer's weights.

    Args:
        net: any network.
        noise: standard deviation relative to the root mean square of those weights.
        generator: draws the noise.
    """
    W = net.weights[0]
    scale = noise * W.square().mean((-2, -1), keepdim=True).sqrt()
    draw = torch.randn(W.shape, generator=generator, dtype=W.dtype)
    return Network([W + scale * draw, *net.weights[1:]], net.biases)


def calibrate(
    noise_levels: Sequence[float], generator: torch.Generator | int, table: Sequence[Case] | None = None
) -> pd.DataFrame:
    """Both classifiers on constructed networks with known answers, under growing noise.

    Args:
        noise_levels: standard deviations of the noise as in `perturb`, not negative.
        generator: draws the noise; a ``torch.Generator`` or an integer seed.
        table: cases to use; all of `hyperlib.algorithms.construct.cases` by default.

    Returns:
        One row per case and noise level: ``case, truth, n, hidden, noise``, the labels of the two classifiers
        ``order_parameters`` and ``explanation``, the scores ``share_convexity, share_pudding, share_double_sided``,
        and ``loss``, the normalised MSE of the noisy network on 2048 inputs.

    Raises:
        ValueError: a noise level is negative or not finite.
    """
    levels = [float(level) for level in noise_levels]
    if not levels or not all(0 <= level < float("inf") for level in levels):
        raise ValueError(f"noise_levels are {levels}; expected at least one number, none of them negative or infinite")
    g, rows = as_generator(generator), []
    for case in cases() if table is None else table:
        net = case.build()
        x, y = L1.sample(2048, case.n, g, dtype=net.weights[0].dtype)
        for level in levels:
            noisy = perturb(net, level, g)
            row = {"case": case.name, "truth": case.phase, "n": case.n, "hidden": case.hidden, "noise": level}
            rows.append(row | _classified(noisy, g) | {"loss": float(noisy.loss(x, y))})
    results = pd.DataFrame(rows)
    results.attrs["source"] = "constructed networks"  # stands under the figures made from it
    return results


def confusion(table: pd.DataFrame, truth: str = "truth", found: str = "explanation") -> pd.DataFrame:
    """Confusion matrix: counts of true algorithm (rows) against found one (columns), all of `LABELS` in order.

    Args:
        table: for instance of `calibrate`, or of generated networks with one column per classifier.
        truth, found: names of the columns to compare.

    Raises:
        ValueError: a column is missing, or holds something that is not one of `LABELS`.
    """
    for column in (truth, found):
        if column not in table:
            raise ValueError(f"column {column!r} is not in the table; it has {', '.join(map(str, table.columns))}")
        if strange := sorted(set(table[column]) - set(LABELS)):
            raise ValueError(f"column {column!r} holds {strange}; expected {', '.join(LABELS)}")
    counts = pd.crosstab(table[truth], table[found]).reindex(index=LABELS, columns=LABELS, fill_value=0)
    counts.attrs = dict(table.attrs)
    return counts


def compare(networks: Network, generator: torch.Generator | int = 0) -> pd.DataFrame:
    """Both classifiers on networks whose algorithm nobody told them, such as generated ones (section 2.2).

    Args:
        networks: a batch ``(B,)`` of networks ``(n, m, 1)``.
        generator: as in `hyperlib.algorithms.explain.explain`; a ``torch.Generator`` or an integer seed.

    Returns:
        One row per network: ``order_parameters``, ``explanation``, ``share_convexity, share_pudding,
        share_double_sided`` as in `calibrate`.

    Raises:
        ValueError: the networks have no batch axis or more than one, or see `hyperlib.algorithms.explain.explain`.
    """
    if len(networks.batch_shape) != 1:
        raise ValueError(f"the networks have batch axes {tuple(networks.batch_shape)}; expected one axis, (B,)")
    g = as_generator(generator)
    return pd.DataFrame([_classified(networks[index], g) for index in range(networks.batch_shape[0])])


def _classified(net: Network, generator: torch.Generator) -> dict[str, str | float]:
    """Labels of the two classifiers and the shares that the constructions explain."""
    found = explain(net, generator=generator)
    shares = {f"share_{name.replace('-', '_')}": share for name, share in found.scores.items()}
    return {"order_parameters": str(classify(net)), "explanation": found.label, **shares}
