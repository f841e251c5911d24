"""The simulated API held against the real one: both are sent the same script of requests.

`ask` is the vocabulary of the scripts, which `reads`, `writes`, `deletes`, `watches`, `logs` and
`odd` are; `sides` are the two servers, `furniture` the pods on them, and `compare` says in what two
answers differ. A deviation that stays is listed where it is asked for, with its reason.
"""
