"""`prove`: that what is sent does not depend on the text of a log, shown on the log itself.

`reading` says what counting may depend on; `renaming` makes other text of the same shape; `variant`
puts it in wherever no decision rests on it; `prove` compares what would be sent; `report` prints.
"""
