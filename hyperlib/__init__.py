"""hyperlib: an open implementation of *Generating Interpretable Networks using Hypernetworks* (Liao, Liu, Tegmark, 2023).

The way of the data is the way of the modules: log beta -> hyperhypernetwork (`pareto`) -> hyperweights ->
`hypernetwork` -> weights of the target (`mlp`) -> loss on a `task` -> `training` -> `runs` -> `sweep` ->
`order_parameters` -> figures and claims.
"""

from __future__ import annotations

from . import construct
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

__all__ = [
    "BETAS",
    "PHASES",
    "TASKS",
    "THRESHOLDS",
    "Architecture",
    "Ensemble",
    "Hypernetwork",
    "Network",
    "ParetoHypernetwork",
    "Run",
    "RunError",
    "Task",
    "Thresholds",
    "TrainConfig",
    "classify",
    "construct",
    "get_task",
    "load_run",
    "order_parameters",
    "register",
    "sweep",
    "train",
]
