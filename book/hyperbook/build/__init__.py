"""What builds the book. `extension` is for Sphinx; `notebooks` has to start fast, so that nothing is imported here."""
