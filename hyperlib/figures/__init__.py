"""One function per figure of a network or a run. Importing this loads matplotlib, and changes no setting."""

try:
    import matplotlib  # noqa: F401
    import seaborn  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"hyperlib.figures needs {error.name}, which is not installed; it comes with the extra figures: "
        'pip install ".[figures]" in a checkout, or pip install matplotlib seaborn',
        name=error.name,
    ) from None

from .networks import (
    algorithms,
    compare_construction,
    draw_network,
    draw_networks,
    responses,
    weight_distributions,
    weight_maps,
)
from .path import path

__all__ = [
    "algorithms",
    "compare_construction",
    "draw_network",
    "draw_networks",
    "path",
    "responses",
    "weight_distributions",
    "weight_maps",
]
