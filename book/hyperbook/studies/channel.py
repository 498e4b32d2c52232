"""What the channel carries where nothing is paid for memory (appendix B.2.1, case 3d of appendix A).

With the KL closed encoder and decoder agree, and every hyperlayer's channel gives on mu + sigma times noise of the
decoder. If sigma is large the channel is a source of random numbers, like the random block; if sigma is small it is a
line that carries what earlier hyperlayers have worked out.

Foreseen before it was tried: if it is for want of such lines that seeds of case 3d stay at a higher loss than the
decoder alone, then the same seeds, trained on, come down once the encoder is off, since then there is nobody to agree
with. Eight seeds of `results/l1` go on for 24,000 steps, with and without the encoder (`further`): without it their
median loss falls below 0.1, and below two thirds of what it is with it.

That did not happen. Also foreseen before it was tried: if lines are wanting from the start, the decoder alone with
channels of noise alone (`muted`) stays at a higher loss, too: the median of its seeds off the plateau is at least twice
that of `results/l1-scratch`, after as many steps. Nor did that.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hyperlib.experiment import train
from hyperlib.fast.hypernetwork import FastHypernetwork
from hyperlib.hypernetwork import Hypernetwork
from hyperlib.runs import Run
from hyperlib.sweeps import CLOSED_KL
from hyperlib.training import Ensemble

from .settings import OFF

BETA = 1e-6
DRAWS = 4  # networks on which a share is measured
FURTHER = 8  # seeds that are trained on


class _Watched(Hypernetwork):
    """A hypernetwork that notes of every channel at the target's first layer which share of its variance is mu's."""

    shares: list[float]

    def channel(self, mu: Tensor, spread: Tensor, noise: Tensor, encoder: bool) -> tuple[Tensor, Tensor]:
        if mu.shape[2:4] == self.shape[:2]:  # of the decoder, with no noise and with noise 1
            mean, shifted = (super(_Watched, self).channel(mu, spread, 0 * noise + z, False)[0] for z in (0, 1))
            of_mean, of_noise = mean.var((1, 2), correction=0), (shifted - mean).square().mean((1, 2))
            self.shares.append(float((of_mean / (of_mean + of_noise)).mean()))
        return super().channel(mu, spread, noise, encoder)


@torch.no_grad()
def carried(run: Run) -> pd.DataFrame:
    """The share of a channel's variance over edges that is carried, per seed and hyperlayer but the first.

    Of all seeds with hyperhypernetworks whose KL is closed. Columns: ``seed``, ``hyperlayer``, ``carried``
    (mean over the channel's hyperfeatures and over `DRAWS` networks), ``loss`` at the lowest beta.
    """
    last = run.sweep[run.sweep["step"] == run.config.steps].sort_values("beta").groupby("seed").first()
    closed = [seed for seed in sorted(run.modelled) if last["kl"][seed] < CLOSED_KL]
    rows = []
    for seed in closed:
        model = run.model(seed)
        watched = _Watched(model.shape, model.architecture)
        watched.shares = []
        noise = torch.randn(DRAWS, watched.noise_size, generator=torch.Generator("cpu").manual_seed(seed))
        named = watched.unflatten(model.hyperweights(BETA).reshape(1, -1).expand(DRAWS, -1), watched.sizes)
        watched.generate(named, noise, model.encoder)
        for hyperlayer, share in enumerate(watched.shares, start=1):
            if hyperlayer > 1:  # the first has no input, and nothing to carry
                rows.append([seed, hyperlayer, share, last["loss"][seed]])
    return pd.DataFrame(rows, columns=["seed", "hyperlayer", "carried", "loss"])


def further(run: Run, out: Path, encoder: bool, seeds: int = FURTHER, steps: int = 24_000, **options: Any) -> Run:
    """The first seeds of case 3d whose hyperhypernetworks are there, trained on with the options of `train`."""
    found = carried(run)
    chosen = found.loc[found["loss"] < OFF, "seed"].drop_duplicates()[:seeds].tolist()
    other: dict[str, Any] = {
        "start": str(run.path),
        "encoder": encoder,
        "beta_warmup": 0,
        "log_beta_start": 0.0,
        "steps": steps,
    }
    config = replace(run.config, seeds=tuple(chosen), snapshots=4, learning_rate_end=0.02, **other)
    return train(config, out, **options)


class _Muted(FastHypernetwork):
    """A hypernetwork whose channels give on noise alone."""

    def _channel(self, latent: Tensor, noise: Tensor, encoder: bool) -> tuple[Tensor, Tensor]:
        mu, spread = latent.chunk(2, dim=1)
        return super()._channel(torch.cat([0 * mu, spread], dim=1), noise, encoder)


class _MutedEnsemble(Ensemble):
    hypernetwork = _Muted


def muted(run: Run, seeds: Sequence[int], every: int = 1000, compiled: bool = True) -> pd.DataFrame:
    """Train as a run of the decoder alone, but with channels of noise alone: ``seed, step, loss`` as `Run.curves`."""
    config, rows = replace(run.config, seeds=tuple(seeds)), []
    ensemble = _MutedEnsemble(config, config.seeds, compiled)
    while (step := ensemble.step) < config.steps:
        ensemble.advance(min(every, config.steps - step))
        losses = (ensemble.read_sums()[:, 1] / (ensemble.step - step)).tolist()
        rows += [(seed, ensemble.step, loss) for seed, loss in zip(seeds, losses, strict=True)]
    return pd.DataFrame(rows, columns=["seed", "step", "loss"])
