"""One function per figure of a network or a run. Importing this loads matplotlib, and changes no setting."""

from ..checks import not_installed

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise not_installed(error, __name__, "figures", "matplotlib") from None

from .networks import draw_network, draw_networks
from .path import path

__all__ = ["draw_network", "draw_networks", "path"]
