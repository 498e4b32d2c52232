"""Prose, tables and examples of the notebooks, computed from a run, so that no number in the book is typed in.

`text` turns numbers and tables into Markdown, `examples` picks the networks that are shown, `tables` holds the tables,
and `found` says what the notebooks found, in words that follow from the tables.
"""
