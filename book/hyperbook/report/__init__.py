"""What several notebooks show of a run, so that no number in the book is typed in.

`text` turns numbers and tables into Markdown and hands single numbers to the sentences of a page, `examples` picks the
networks that are shown, `tables` reads what scripts measured. What holds is judged in one place, `hyperbook.claims`.
"""
