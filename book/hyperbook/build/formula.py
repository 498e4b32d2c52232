"""Formulas of programs, which are plain text, with the marks of a page: subscripts, sums, signs."""

import html
import re

NAME = r"\b([xywuvabcdefghA-Z])_(\{\w+\}|[0-9a-z]+)"  # x_1, w_kj, A_j
MARKS = (
    (r"!=", " ≠ "),
    (r"\+-", "±"),
    (r" not in ", " ∉ "),
    (r"(?<=\w) in (?=[\w{])", " ∈ "),
    (r" \* ", " · "),
    (r"-", "−"),
    (r"(?<=\d)e(−?)0*(\d+)", r"·10<sup>\1\2</sup>"),
    (r"\^(\d)", r"<sup>\1</sup>"),
    (r"\bsum_(?:\{([^}]*)\}|(\w))", r"∑<sub>\1\2</sub>"),
    (NAME, r"<i>\1</i><sub>\2</sub>"),
    (r"\.\.(?=\d)", "…"),
    (r"\by =", "<i>y</i> ="),
    (r"\n", "<br>"),
)


def markup(text: str) -> str:
    """``Program.text`` as HTML.

    Example:
        >>> markup("y = -2 + 32 * 0.3 swish(x_1 + sum_{k!=i} x_k)")
        '<i>y</i> = −2 + 32 · 0.3 swish(<i>x</i><sub>1</sub> + ∑<sub>k ≠ i</sub> <i>x</i><sub>k</sub>)'
    """
    out = html.escape(text)
    for found, put in MARKS:
        out = re.sub(found, put, out)
    return out
