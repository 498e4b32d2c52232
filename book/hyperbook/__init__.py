"""What only the book of hyperlib needs: the judge of its claims, studies, figures of single pages, what builds it.

It imports `hyperlib`, never the other way, and belongs to a checkout: the wheel holds `hyperlib` alone.
"""

PARTNERS = ("warm", "memorised", "narrow", "scratch", "sizes")  # of a run, in folders beside it: results/l1-warm
