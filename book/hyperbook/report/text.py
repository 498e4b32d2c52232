"""Numbers, lists and tables as Markdown."""

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import Markdown

LARGE, SMALL = 1e6, 1e-3  # beyond these, powers of ten
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 2) -> str:
    """A number in a sentence: whole numbers in full, others to ``digits`` significant digits, LaTeX where needed."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    value = float(value)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    size = abs(value)
    if value and not SMALL <= size < LARGE:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if float(mantissa) in (1, -1):
            return f"${'-' if value < 0 else ''}10^{{{int(exponent)}}}$"
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    if size >= 10**digits:
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    return f"{value:.{decimals}f}"


def percent(share: float) -> str:
    """A share in percent, whole, or with one decimal next to 0 and 100."""
    if math.isnan(share):
        return "–"
    whole = 0.01 <= share <= 0.99 or share in (0, 1)
    return f"{100 * share:.{0 if whole else 1}f} %"


def glue(**values: str | float) -> None:
    """Hand numbers to the sentences of the page: ``{glue:text}`name` `` there shows what was given here as ``name``.

    Numbers are written as by `number`, with superscripts in place of LaTeX; strings are left as they are.
    """
    from myst_nb import glue as keep

    for name, value in values.items():
        keep(name, value if isinstance(value, str) else plain(number(value)), display=False)


def plain(shown: str) -> str:
    """What `number` gives, without LaTeX: ``2.6 × 10⁻⁵``."""
    shown = re.sub(r"\^\{(.*?)\}", lambda power: power[1].translate(SUPERSCRIPTS), shown)
    return shown.replace("$", "").replace(r"\times", "×").replace(r"\infty", "∞")


def note(text: str) -> Markdown:
    """One paragraph, for instance in place of a figure whose case the run does not have."""
    return Markdown(f"*{text}*")


def table(
    frame: pd.DataFrame, names: Mapping[str, str] | None = None, digits: int = 2, index: bool = False
) -> Markdown:
    """A table as Markdown, its numbers to some significant digits; ``index`` makes that a column, too.

    With names (column -> heading) it has only these columns, in this order.
    """
    if frame.empty:
        return note("Nothing to show for this run.")
    if index:
        frame = frame.reset_index()
    names = {str(column): str(column) for column in frame.columns} if names is None else names
    frame = frame.rename(columns=str)
    cells = {heading: [number(value, digits) for value in frame[column]] for column, heading in names.items()}
    numeric = ["right" if pd.api.types.is_numeric_dtype(frame[column]) else "left" for column in names]
    text = pd.DataFrame(cells, columns=list(names.values()))
    return Markdown(text.to_markdown(index=False, colalign=numeric, disable_numparse=True))
