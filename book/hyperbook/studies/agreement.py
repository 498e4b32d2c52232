"""Why case 3d loses more than the decoder alone: what the sides cannot agree on is not read (appendix B.2, 2.3).

Each side of the hypernetwork has random numbers of its own. What a hyperlayer makes of them enters the channel's mean,
where the other side cannot know it, so that reading them is paid for even where nothing is memorised. Found in
`results/l1`: seeds of case 3d read next to nothing of them at the hyperlayers that feed a channel (`reading`), and are
left with the noise of the channels, which both sides see, and with the last hyperlayer's numbers.

Foreseen in writing, before it was tried on development seeds:

1. It is the price at the time when rules are made: without the encoder from step 2,000 on the median loss of the seeds
   off the plateau is below 0.1, and below two thirds of that of the seeds with a closed KL under the encoder. It is
   0.112, and 0.154 under the encoder. By then the memory of half of the seeds had closed, not of most, as was thought.
2. Then, after `reading` was seen: if both sides see the same random numbers (`Architecture.shared_random`), reading
   them costs nothing. Of seeds with a closed KL and off the plateau (warm-up 550 and 150) the median loss is below 0.1
   after as many steps, and hyperlayer 2 reads more than 0.1. It is 0.059, and 0.23 is read.
3. Then, of seeds never used before: `results/l1-shared`, 16 seeds with shared numbers, a warm-up of 150 and 40,000
   steps, has a median loss below 0.06, over 16 networks each. It is 0.046.
"""

import pandas as pd

from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.hypernetwork import Hypernetwork
from hyperlib.runs import Run
from hyperlib.sweeps import CLOSED_KL

BETA = 1e-6
OFF = 0.3  # a seed has left the plateau of convexity below this loss
ALONE = "memory, warm-up 550, alone from 2,000"
COMPARED = (  # of `settings.CELLS`
    "memory, warm-up 550",
    ALONE,
    "memory, warm-up 550, shared random numbers",
    "memory, warm-up 150",
    "memory, warm-up 150, shared random numbers",
)


def reading(model: ParetoHypernetwork, beta: float = BETA) -> pd.DataFrame:
    """Root mean square of the weights with which hyperlayers read the random block of the one before.

    Columns: ``hyperlayer`` (from 2), ``weight``; at the start of training a weight is 1/sqrt(62) on average.
    """
    hypernetwork, block = Hypernetwork(model.shape, model.architecture), model.architecture.place("random")
    named = hypernetwork.unflatten(model.hyperweights(beta).detach()[None], hypernetwork.sizes)
    layers = range(2, model.architecture.hyperdepth + 1)
    weights = [float(named[f"weight{k}"][0, :, block].square().mean().sqrt()) for k in layers]
    return pd.DataFrame({"hyperlayer": layers, "weight": weights})


def of_run(run: Run) -> pd.DataFrame:
    """`reading` of all seeds with hyperhypernetworks whose KL is closed and which are off the plateau.

    Further columns: ``seed``, ``loss`` (normalised, at the lowest beta).
    """
    last = run.sweep[run.sweep["step"] == run.config.steps].sort_values("beta").groupby("seed").first()
    found = last.loc[sorted(run.modelled)]
    found = found[(found["kl"] < CLOSED_KL) & (found["loss"] < OFF)]
    rows = [reading(run.model(seed)).assign(seed=seed, loss=loss) for seed, loss in found["loss"].items()]
    return pd.concat(rows) if rows else pd.DataFrame(columns=["hyperlayer", "weight", "seed", "loss"])


def closed(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of seeds of `COMPARED` cells (`settings.run_cell`) with a closed KL at the last step and the lowest beta."""
    chosen = [table[(table["cell"] == cell) & (table["beta"] == table["beta"].min())] for cell in COMPARED]
    return pd.concat([rows[(rows["step"] == rows["step"].max()) & (rows["kl"] < CLOSED_KL)] for rows in chosen])
