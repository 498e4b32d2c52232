"""The fast path: what a training step runs instead of the plain hypernetwork, held to it in values and gradients."""
