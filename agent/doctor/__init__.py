"""The command `doctor`: what an installation may do, reaches and keeps, and what to do about it.

`examine` asks and changes nothing, and `keeping` is its part for what is kept; `asking` is one
question with its seconds. `rights` is the one list of rights; `verdicts`, `states` and `levels`
judge what was found (pure), `report` prints it. What a line says is in our own words: of an error
its status and one known word, of a log line its level, and no other text of either.
"""
