"""Tools on a finished network: they need its weights and nothing else."""
