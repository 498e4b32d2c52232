"""One function per figure of a network or a run. Importing this loads matplotlib, and changes no setting."""

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"hyperlib.figures needs {error.name}, which is not installed; it comes with the extra figures: "
        'pip install ".[figures]" in a checkout, or pip install matplotlib',
        name=error.name,
    ) from None

from .networks import draw_network, draw_networks
from .path import path

__all__ = ["draw_network", "draw_networks", "path"]
