"""hyperlib: an open implementation of *Generating Interpretable Networks using Hypernetworks*.

The paper is by Isaac Liao, Ziming Liu and Max Tegmark (2023, arXiv:2312.03051). The way of the data is the way of the
modules: log beta -> hyperhypernetwork (`pareto`) -> hyperweights -> `hypernetwork` -> weights of the target (`mlp`) ->
loss on a `task` -> `training` -> `runs` -> `sweep` -> `order_parameters` -> figures and claims.
"""

from __future__ import annotations

import importlib

from . import construct
from .drawing import Layout, layout
from .experiment import train
from .hypernetwork import Architecture, Hypernetwork
from .mlp import Network
from .order_parameters import PHASES, THRESHOLDS, Thresholds, classify, order_parameters
from .pareto import ParetoHypernetwork
from .runs import Run, RunError, load_run
from .sweep import BETAS, sweep
from .task import TASKS, Task, get_task, register
from .training import Ensemble, TrainConfig

__version__ = "0.1.0"


def __getattr__(name: str):
    """Load `hyperlib.figures` when it is first asked for: matplotlib and plotly take a while to import."""
    if name == "figures":
        return importlib.import_module(".figures", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BETAS",
    "PHASES",
    "TASKS",
    "THRESHOLDS",
    "Architecture",
    "Ensemble",
    "Hypernetwork",
    "Layout",
    "Network",
    "ParetoHypernetwork",
    "Run",
    "RunError",
    "Task",
    "Thresholds",
    "TrainConfig",
    "classify",
    "construct",
    "figures",
    "get_task",
    "layout",
    "load_run",
    "order_parameters",
    "register",
    "sweep",
    "train",
]
