"""The tools of a rule author: `rules check`, `test`, `explain`, `coverage` and the like.

One module a command; `command_line` declares them. These print to the terminal of the person who
gave them a text, which is the only place where text of a log may be shown.
"""
