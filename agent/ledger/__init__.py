"""Every report byte for byte: what was sent, where to, the answer; and what was not sent, and why.

In memory, and in a directory where one is given. Bounded in entries and bytes, oldest out first.
"""
