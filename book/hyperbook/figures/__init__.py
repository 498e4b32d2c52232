"""Figures of single pages, one function each; those that a user draws are in `hyperlib.figures`."""
