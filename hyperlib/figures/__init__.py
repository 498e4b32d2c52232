"""One function per figure. Importing this loads matplotlib and plotly; it changes no setting of either."""

from .architecture import architecture
from .networks import compare_construction, draw_network, draw_networks, weight_maps
from .slider import beta_slider

__all__ = ["architecture", "beta_slider", "compare_construction", "draw_network", "draw_networks", "weight_maps"]
