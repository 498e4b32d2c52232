"""One function per figure. Importing this loads matplotlib and plotly; it changes no setting of either."""

try:
    import matplotlib  # noqa: F401
    import plotly  # noqa: F401
    import seaborn  # noqa: F401
except ModuleNotFoundError as error:
    said = f"hyperlib.figures needs {error.name}, which is not installed: pip install matplotlib plotly seaborn"
    raise ModuleNotFoundError(said, name=error.name) from None

from .architecture import architecture
from .networks import algorithms, compare_construction, draw_network, draw_networks, responses, weight_maps
from .slider import beta_slider

__all__ = [
    "algorithms",
    "architecture",
    "beta_slider",
    "compare_construction",
    "draw_network",
    "draw_networks",
    "responses",
    "weight_maps",
]
