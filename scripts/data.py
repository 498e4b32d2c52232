"""Five tables: error by cross-validation beside what people use, the path along the price, programs."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_friedman1
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperbook.studies.programs import replace_rows
from hyperlib.commands import script, show
from hyperlib.estimators import HypernetworkClassifier, HypernetworkRegressor

FOLDS, SEEDS = 5, 3  # folds; hypernetworks for each of them
STATE = 1  # of the folds; settings were tried on those of 0
DECODED = 800  # most first-layer weights of a network that is decoded here


class Case(NamedTuple):
    """A table and the estimator's settings for it."""

    name: str
    X: pd.DataFrame
    y: pd.Series
    classes: bool
    steps: int
    hidden: int = 24


def cases() -> Iterator[Case]:
    """The five tables, the small ones first."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    yield Case("diabetes", X, y.rename("progression"), False, 3000)
    values, target = make_friedman1(450, 10, noise=1.0, random_state=0)
    names = [f"x{k}" for k in range(1, 11)]
    yield Case("Friedman", pd.DataFrame(values, columns=names), pd.Series(target, name="y"), False, 6000)
    sets = {"wine": (load_wine, 1000, 24), "breast cancer": (load_breast_cancer, 4000, 24)}
    for name, (load, steps, hidden) in (sets | {"digits": (load_digits, 2500, 32)}).items():
        X, y = load(return_X_y=True, as_frame=True)
        yield Case(name, X, y, True, steps, hidden)


def peers(classes: bool) -> dict[str, object]:
    """What people use on small tables, as scikit-learn sets it up; inputs and targets are standardised for all."""
    mlp = (MLPClassifier if classes else MLPRegressor)(alpha=1.0, max_iter=500, random_state=0)
    return {
        "linear": LogisticRegression(max_iter=2000) if classes else RidgeCV(np.logspace(-3, 4, 15)),
        "boosting": (GradientBoostingClassifier if classes else GradientBoostingRegressor)(random_state=0),
        "MLP": mlp if classes else TransformedTargetRegressor(mlp, transformer=StandardScaler()),
    }


def errors(case: Case, predicted: np.ndarray) -> np.ndarray:
    """Per row the squared error in units of the variance of y, or whether the class is wrong."""
    y = case.y.to_numpy()
    return (predicted != y).astype(float) if case.classes else (predicted - y) ** 2 / y.var()


def by_network(case: Case, model: HypernetworkRegressor | HypernetworkClassifier) -> tuple[np.ndarray, np.ndarray]:
    """Errors on the rows of each fold, of networks trained on the others.

    ``(rows,)`` at the price that the others choose, ``(prices, rows)`` at every one.
    """
    y = case.y.to_numpy()
    if case.classes:
        labels = model.classes_[model.held_out_.argmax(-1)]
        loss = -np.take_along_axis(model.held_out_, np.searchsorted(model.classes_, y)[None, :, None], -1)[..., 0]
    else:
        labels = model.held_out_[..., 0] * model.output_std_ + model.output_mean_
        loss = (labels - y) ** 2
    every = np.stack([errors(case, row) for row in labels])
    best = [loss[:, model.fold_ != k].mean(1).argmin() for k in range(FOLDS)]
    return every[np.array(best)[model.fold_], np.arange(len(y))], every


def importance(model: HypernetworkRegressor | HypernetworkClassifier) -> list[float]:
    """What shuffling each input changes in the network's output, in units of its variance."""
    x, g = model._inputs, torch.Generator().manual_seed(0)
    out, found = model.network_(x), []
    for k in range(x.shape[1]):
        other = x.clone()
        other[:, k] = other[torch.randperm(len(x), generator=g), k]
        found.append(float((model.network_(other) - out).square().mean() / out.var(0).mean()))
    return found


def programs(case: Case, model: HypernetworkRegressor | HypernetworkClassifier) -> Iterator[dict]:
    """The chosen price's program, and that of the highest price within a standard error of the best."""
    path = model.path_
    best = path.loc[path["loss_held_out"].idxmin()]
    simple = path[path["loss_held_out"] <= best["loss_held_out"] + best["loss_held_out_se"]].iloc[-1]
    for kind, row in (("best", best), ("simplest", simple)):
        model.choose(row["price"])
        facts = {"data": case.name, "kind": kind, "price": row["price"], "nats": row["nats"]}
        # Arrays, as they are read again, so that the table's checksum holds.
        inputs, shares = np.array([*case.X], dtype=object), np.array(importance(model))
        facts |= {"loss_held_out": row["loss_held_out"], "inputs": inputs, "importance": shares}
        if case.X.shape[1] * case.hidden <= DECODED:
            start, program = time.process_time(), model.program_
            facts |= {fact: getattr(program, fact) for fact in ("text", "latex", "numbers", "bits", "kept")}
            facts["decode_s"] = time.process_time() - start
        yield facts


def main(only: str = "", out: Path = Path("results/data")) -> None:
    """Fit all five tables on one core and write ``errors``, ``path`` and ``programs`` as Parquet. Takes half an hour.

    Args:
        only: name of one table; the results of the others stay.
        out: the folder.
    """
    torch.set_num_threads(1)
    for case in (case for case in cases() if only in ("", case.name)):
        start = time.process_time()
        estimator = HypernetworkClassifier if case.classes else HypernetworkRegressor
        settings: dict[str, Any] = {"folds": FOLDS, "seeds": SEEDS, "random_state": STATE, "verbose": False}
        model = estimator(steps=case.steps, hidden=case.hidden, **settings).fit(case.X, case.y)
        seconds = time.process_time() - start
        chosen, every = by_network(case, model)
        found = {"hypernetwork": chosen}
        for name, peer in peers(case.classes).items():
            scaled, split = make_pipeline(StandardScaler(), peer), PredefinedSplit(model.fold_)
            found[name] = errors(case, cross_val_predict(scaled, case.X, case.y, cv=split))
        tables: dict[str, Any] = {
            "errors": [
                {"data": case.name, "method": m, "error": e.mean(), "se": e.std() / len(e) ** 0.5, "rows": len(e)}
                | {"seconds": seconds if m == "hypernetwork" else np.nan, "steps": case.steps, "hidden": case.hidden}
                for m, e in found.items()
            ],
            "path": model.path_.assign(data=case.name, error=[e.mean() for e in every]),
            "programs": programs(case, model),
        }
        for kind, rows in tables.items():
            table = pd.DataFrame(rows)
            replace_rows(out / f"{kind}.parquet", table, "data")
            show(table.drop(columns=["inputs", "importance", "text", "latex"], errors="ignore"))


if __name__ == "__main__":
    script(main)
