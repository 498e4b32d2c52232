"""Numbers, lists and tables as Markdown."""

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import Markdown

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
    if not math.isfinite(value):
        return "–" if math.isnan(value) else r"$\infty$" if value > 0 else r"$-\infty$"
    size = abs(value)
    if value and not 1e-3 <= size < 1e6:
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
    frame = frame.reset_index() if index else frame
    frame = frame if names is None else frame[list(names)].rename(columns=names)
    aligned = ["right" if pd.api.types.is_numeric_dtype(dtype) else "left" for dtype in frame.dtypes]
    shown = frame.map(number, digits=digits)
    return Markdown(shown.to_markdown(index=False, colalign=aligned, disable_numparse=True))
