"""Estimators with scikit-learn's conventions: a table in, a path of ever simpler networks out (needs the extra `data`).

The price of information is the only regulariser. One ensemble trains seeds per fold, each on the rows outside its
fold, and one training gives networks at every price; the price at which the rows in the folds are predicted best is
chosen. A prediction is the mean over the networks of all folds at that price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .checks import BETA_MAX, BETA_MIN, check_beta, not_installed
from .cluster import one_thread
from .config import TrainConfig
from .decoding.decode import decode
from .decoding.program import Program
from .experiment import check_compiler, compiling
from .hypernetwork import Architecture
from .losses import SQUARED, Loss, cross_entropy
from .network import joined
from .table import UNITS, Table
from .task import Task
from .training import Ensemble

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ModuleNotFoundError as error:
    raise not_installed(error, __name__, "data", "scikit-learn") from None

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRICES: tuple[float, ...] = tuple(np.geomspace(BETA_MIN, BETA_MAX, 37)[:-1].tolist())  # three per decade, none of 1
REPORTS = 20  # how often the progress bar says how well the rows in the folds are predicted
ROWS = 4096  # rows that are predicted at once, and on which networks are compared
PAD = 256  # tables of nearly as many rows share a compiled step


@dataclass(frozen=True, eq=False)
class Folds(Table):
    """A table of which every seed trains on other rows: ``counts`` ``(seeds, 1)`` ``members`` ``(seeds, most)``."""

    members: Tensor
    counts: Tensor

    def row(self, share: Tensor) -> Tensor:
        return self.members.gather(1, torch.minimum((share * self.counts).long(), self.counts.long() - 1))


@dataclass(eq=False, repr=False)
class _Hypernetwork(BaseEstimator):
    """What both estimators share; see `HypernetworkRegressor`."""

    hidden: int = 24
    steps: int = 6000
    folds: int = 4
    seeds: int = 1
    price: float | None = None
    activation: str = "swish"
    gain: float = 4.0
    match_steps: int | None = None
    batch: int = 256
    draws: int = 4
    compiled: bool = True
    random_state: Any = 0
    verbose: bool = True

    def _targets(self, y: np.ndarray) -> tuple[np.ndarray, Loss, np.ndarray]:
        """Standardised targets, their loss, and of each row the kind of which every fold gets as many."""
        raise NotImplementedError

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        """Train, measure the path and choose the price."""
        X = X.astype(np.float64)
        targets, loss, kinds = self._targets(y)
        g = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        folds = min(self.folds, len(X))
        if folds < 2:
            raise ValueError(f"n_samples = {len(X)}, folds = {self.folds}; expected at least 2 of both")
        if self.seeds < 1:
            raise ValueError(f"seeds = {self.seeds}; expected at least one per fold")
        order = g.permutation(len(X))
        fold = np.empty(len(X), int)
        fold[order[np.argsort(kinds[order], kind="stable")]] = np.arange(len(X)) % folds

        self.input_mean_, self.input_std_ = _moments(X)
        x, t = self._standardised(X), torch.from_numpy(targets.astype(np.float32))
        members = [np.flatnonzero(fold != k % folds) for k in range(folds * self.seeds)]
        most = -(-max(map(len, members)) // PAD) * PAD
        pad = (0, 0, 0, -len(x) % PAD)
        table = Folds(
            x=F.pad(x, pad),
            y=F.pad(t, pad),
            held_x=x[:0],
            held_y=t[:0],
            **dict.fromkeys(UNITS, ()),
            members=torch.stack([F.pad(torch.from_numpy(rows), (0, most - len(rows))) for rows in members]),
            counts=torch.tensor([[float(len(rows))] for rows in members]),
        )
        task = Task("data", "data", outputs=t.shape[1], loss=loss, size=X.shape[1], table=table)
        config = TrainConfig(
            seeds=range(folds * self.seeds),  # type: ignore[arg-type]
            steps=self.steps,
            shape=(X.shape[1], self.hidden, t.shape[1]),
            task=task,
            batch=self.batch,
            learning_rate_end=0.02,
            learning_rate_warmup=min(200, self.steps // 5),
            beta_warmup=self.steps // 2,
            match_steps=self.steps // 10 if self.match_steps is None else self.match_steps,
            architecture=Architecture(gain=self.gain),
            activation=self.activation,
        )
        self.models_ = self._train(config)
        self.n_iter_ = self.steps
        self.fold_, self._inputs = fold, x
        with one_thread(True), torch.no_grad():
            self._measure(t, loss)
        losses = self.path_["loss_held_out"].fillna(math.inf)
        self.choose(float(self.path_["price"][losses.argmin()]) if self.price is None else self.price)

    def _train(self, config: TrainConfig) -> list:
        if self.compiled:
            check_compiler(config)
        bar = tqdm(total=self.steps, unit="step", disable=None if self.verbose else True, smoothing=0.05)
        with bar, one_thread(True), compiling():
            ensemble = Ensemble(config, config.seeds, self.compiled)
            while (left := config.steps - ensemble.step) > 0:
                before = ensemble.step
                ensemble.advance(min(left, max(1, config.steps // REPORTS)))
                _, error, kl = (ensemble.read_sums().mean(0) / (ensemble.step - before)).tolist()
                bar.set_postfix_str(f"loss {error:.3g}, {kl:.0f} nats", refresh=False)
                bar.update(ensemble.step - before)
        if failed := ensemble.diverged():
            raise ValueError(f"the training diverged in seeds {failed}; try fewer steps or a smaller gain")
        return [ensemble.model(seed) for seed in config.seeds]

    def _measure(self, t: Tensor, loss: Loss) -> None:
        """The path, and what networks that did not see a row make of it."""
        import pandas as pd

        x, folds = self._inputs, torch.from_numpy(self.fold_)
        nats, inside = torch.zeros(2, len(PRICES))
        held_out, count = torch.zeros(len(PRICES), *t.shape), len(self.models_) // self.seeds
        for k in range(count):
            nets, mine = joined([m.generate(PRICES, count=self.draws) for m in self.models_[k::count]]), folds == k
            for place in range(len(PRICES)):  # one at a time, for large tables
                some = nets[:, place]
                assert some.kl is not None
                nats[place] += some.kl.mean() / count
                inside[place] += loss.function(some(x[~mine]), t[~mine]).mean() / count
                held_out[place, mine] = self._average(some(x[mine]))
        outside = loss.function(held_out, t)
        self.held_out_ = held_out.numpy()
        self.path_ = pd.DataFrame({"price": PRICES, "nats": nats.numpy(), "loss": inside.numpy()})
        self.path_["loss_held_out"] = outside.mean(1).numpy()
        self.path_["loss_held_out_se"] = (outside.std(1) / math.sqrt(len(x))).numpy()

    def choose(self, price: float) -> Any:
        """Take the networks of another price, without training again, or ValueError; returns the estimator."""
        check_is_fitted(self, "models_")
        check_beta(price)
        self.price_ = float(price)
        self.networks_ = joined([model.generate(self.price_, count=self.draws) for model in self.models_])
        out = self.networks_(self._inputs[:ROWS])
        self.network_ = self.networks_[int((out - out.mean(0)).square().mean((1, 2)).argmin())]
        self._program: Program | None = None
        return self

    @property
    def program_(self) -> Program:
        """The formula of `network_` in the names and units of the table; found when first asked for."""
        check_is_fitted(self, "network_")
        if self._program is None:
            units = {key: getattr(self, f"{key}_") for key in ("input_mean", "input_std", "output_mean", "output_std")}
            names = {"names": getattr(self, "feature_names_in_", ()), "output_names": self.output_names_}
            values = {key: [str(n) if key in names else float(n) for n in v] for key, v in (units | names).items()}
            self._program = decode(self.network_, x=self._inputs).in_units(**values)
        return self._program

    def plot_path(self) -> Figure:
        """Loss on rows that were trained on and on rows that were not, against nats; the chosen price is marked."""
        from .figures.path import held_out

        check_is_fitted(self, "path_")
        return held_out(self.path_, self.price_)

    def _standardised(self, X: np.ndarray) -> Tensor:
        return torch.from_numpy(((X - self.input_mean_) / self.input_std_).astype(np.float32))

    def _average(self, out: Tensor) -> Tensor:
        """The prediction of several networks, their first axis, in the units of outputs."""
        return out.mean(0)

    def _raw(self, X: Any) -> Tensor:
        """Outputs ``(rows, outputs)`` averaged over the networks."""
        check_is_fitted(self, "networks_")
        x = self._standardised(validate_data(self, X, reset=False).astype(np.float64))
        nets = self.networks_.map(Tensor.double)  # a prediction does not hang on what else is predicted
        return torch.cat([self._average(nets(part.double())) for part in x.split(ROWS)])


class HypernetworkRegressor(RegressorMixin, _Hypernetwork):
    """Regression by networks that a hypernetwork generates, at the price that predicts best.

    Args:
        hidden: neurons of the one hidden layer.
        steps: of training. The default takes two to three minutes on one core, half of which is the compiler's.
        folds: parts of the rows; a hypernetwork trains on all but one of them.
        seeds: hypernetworks per fold; more predict better, and cost as much more.
        price: of a nat, instead of the one that predicts best.
        activation: a name in `hyperlib.network.ACTIVATIONS`.
        gain: see `hyperlib.Architecture`.
        match_steps: first steps, which open the memory, see `hyperlib.TrainConfig`; by default a tenth of all.
        batch: rows per step.
        draws: networks per fold of which a prediction is the mean.
        compiled: compile the training step; needs a C++ compiler.
        random_state: seed, or ``RandomState``, of the folds. The networks are those of seeds 0, 1, ...
        verbose: show a progress bar in a terminal.

    Attributes:
        path_: a table along the price: ``price``, ``nats``, and normalised, ``loss`` of single networks on the rows
            trained on, ``loss_held_out`` of means over draws on the folds' rows, ``loss_held_out_se`` over rows.
        price_: the chosen one.
        networks_: those whose mean is the prediction, one batch axis; they read standardised columns.
        network_: the one of these that is closest to the mean.
        program_: its formula, in the names and units of the table.
        held_out_: for every price what the networks that did not see a row give for it ``(prices, rows, outputs)``:
            standardised predictions, or logarithms of probabilities.
        fold_: in which fold a row is.
        input_mean_, input_std_, output_mean_, output_std_: of the columns; a constant column is read as 0.
        n_features_in_, feature_names_in_, n_iter_: as scikit-learn has them.

    Example:
        >>> import numpy as np
        >>> import hyperlib as hl
        >>> X = np.random.default_rng(0).normal(size=(60, 2))
        >>> model = hl.HypernetworkRegressor(hidden=4, steps=5, compiled=False, verbose=False)
        >>> model.fit(X, X[:, 0] ** 2).predict(X[:3]).shape
        (3,)
        >>> model.path_.columns.tolist()
        ['price', 'nats', 'loss', 'loss_held_out', 'loss_held_out_se']
    """

    def fit(self, X: Any, y: Any) -> HypernetworkRegressor:
        """Train on a table ``(rows, n)`` and targets ``(rows,)`` or ``(rows, outputs)``.

        ValueError for what scikit-learn refuses, such as missing values, for fewer than two rows or folds, and for a
        training that diverges; BuildError without a C++ compiler, see ``compiled``.
        """
        names = y.columns if hasattr(y, "columns") else [getattr(y, "name", None) or "y"]
        self.output_names_ = tuple(map(str, names))
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        if y.ndim == 2 and len(self.output_names_) != y.shape[1]:
            self.output_names_ = tuple(f"y_{k}" for k in range(1, y.shape[1] + 1))
        self._flat = y.ndim == 1
        self._fit(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions ``(rows,)`` or ``(rows, outputs)``, in the units of y."""
        out = self._raw(X).numpy() * self.output_std_ + self.output_mean_
        return out[:, 0] if self._flat else out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _targets(self, y: np.ndarray) -> tuple[np.ndarray, Loss, np.ndarray]:
        y = y.astype(np.float64).reshape(len(y), -1)
        self.output_mean_, self.output_std_ = _moments(y)
        return (y - self.output_mean_) / self.output_std_, SQUARED, np.zeros(len(y))


class HypernetworkClassifier(ClassifierMixin, _Hypernetwork):
    """Classification by networks that a hypernetwork generates, at the price that predicts best.

    Settings and attributes are those of `HypernetworkRegressor`. The loss is cross-entropy in units of the classes'
    entropy, so that their frequencies give 1; the program is of the logits, one output per class.

    Attributes:
        classes_: the labels.

    Example:
        >>> import numpy as np
        >>> import hyperlib as hl
        >>> X = np.random.default_rng(0).normal(size=(60, 2))
        >>> model = hl.HypernetworkClassifier(hidden=4, steps=5, compiled=False, verbose=False)
        >>> model.fit(X, np.where(X[:, 0] > 0, "up", "down")).predict_proba(X[:3]).shape
        (3, 2)
    """

    def fit(self, X: Any, y: Any) -> HypernetworkClassifier:
        """Train on a table ``(rows, n)`` and labels ``(rows,)``; errors as for regression, ValueError for one class."""
        X, y = validate_data(self, X, y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; expected at least two classes")
        self.output_names_ = tuple(map(str, self.classes_.tolist()))
        self._fit(X, y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes ``(rows, classes)``."""
        out = self._raw(X).exp().numpy()
        return out / out.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable labels ``(rows,)``."""
        check_is_fitted(self, "networks_")
        return self.classes_[self.predict_proba(X).argmax(1)]

    def _average(self, out: Tensor) -> Tensor:
        return out.log_softmax(-1).logsumexp(0) - math.log(len(out))

    def _targets(self, y: np.ndarray) -> tuple[np.ndarray, Loss, np.ndarray]:
        classes = np.searchsorted(self.classes_, y)
        shares = np.bincount(classes) / len(classes)
        unit = torch.tensor(-(shares * np.log(shares)).sum(), dtype=torch.float32)
        self.output_mean_, self.output_std_ = np.zeros(len(shares)), np.ones(len(shares))
        return np.eye(len(shares))[classes], Loss("cross-entropy", lambda out, y: cross_entropy(out, y) / unit), classes


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns; those of a constant column are its value and 1, so that it becomes 0."""
    mean, std = values.mean(0), values.std(0)
    return mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0)
