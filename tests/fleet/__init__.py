"""A seeded fleet of simulated installations: the events that they send, and the true answers.

`world` plays installations on a timeline of their own and has the product build what they send,
`deliver` does to it what networks and collectors do, `truth` answers every question from what
`world` and `deliver` know, and `load` puts what arrived into a warehouse as Segment would.
"""
