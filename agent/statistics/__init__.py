"""The command `report`: an export of received events -> one page of answers, and tables beside it.

What is printed is made of what `withhold` has let through, and of nothing else. The rim is
`sources` and `warehouse` (DuckDB) and `report` (files and the terminal); all others are pure.
"""
