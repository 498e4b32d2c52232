"""hyperlib: an open implementation of *Generating Interpretable Networks using Hypernetworks*.

The paper is by Isaac Liao, Ziming Liu and Max Tegmark (2023, arXiv:2312.03051). The way of the data is the way of the
modules: log beta -> `hyperhypernetwork` -> hyperweights -> `hypernetwork` -> weights of the target `network` -> loss on
a `task` -> `training` -> `runs` -> `sweeps` -> `algorithms` -> `figures`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import inputs, losses
from .algorithms import construct
from .algorithms.order_parameters import PHASES, THRESHOLDS, Thresholds, classify, order_parameters
from .config import TrainConfig
from .drawing import Layout, layout
from .hyperhypernetwork import ParetoHypernetwork
from .hypernetwork import Architecture, Hypernetwork
from .network import Network
from .problems import TASKS, get_task
from .sweeps import BETAS, sweep
from .task import Task
from .training import Ensemble

if TYPE_CHECKING:
    from . import figures
    from .compression import compress
    from .decoding.decode import decode
    from .decoding.program import Program
    from .estimators import HypernetworkClassifier, HypernetworkRegressor
    from .experiment import train
    from .files import RunError
    from .runs import Run, load_run

__version__ = "0.1.0"

# Loaded when first asked for, because tables (pandas) and figures (matplotlib) take a while to import.
_LATER = {
    "compress": "compression",
    "decode": "decoding.decode",
    "Program": "decoding.program",
    "train": "experiment",
    "Run": "runs",
    "RunError": "files",
    "load_run": "runs",
    "HypernetworkClassifier": "estimators",
    "HypernetworkRegressor": "estimators",
    "figures": None,
}


def __getattr__(name: str) -> Any:
    """A name of `_LATER`: an attribute of the module that it maps to, or a module itself."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _LATER[name]
    if home is None:
        return importlib.import_module(f".{name}", __name__)
    return getattr(importlib.import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "BETAS",
    "PHASES",
    "TASKS",
    "THRESHOLDS",
    "Architecture",
    "Ensemble",
    "Hypernetwork",
    "HypernetworkClassifier",
    "HypernetworkRegressor",
    "Layout",
    "Network",
    "ParetoHypernetwork",
    "Program",
    "Run",
    "RunError",
    "Task",
    "Thresholds",
    "TrainConfig",
    "classify",
    "compress",
    "construct",
    "decode",
    "figures",
    "get_task",
    "inputs",
    "layout",
    "load_run",
    "losses",
    "order_parameters",
    "sweep",
    "train",
]
