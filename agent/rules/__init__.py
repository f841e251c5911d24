"""The rule language: YAML text -> `RuleSet`, with errors that name file, line and column.

`nodes` reads YAML and keeps `places`, `misreadings` says what was meant by what is none; `keys`
takes a mapping apart; `shared`, `vocabularies`, `events`, `rule`, `pairing`, `sources`, `values`,
`patterns`, `literals`, `versions` and `examples` give the keys their meaning; `checks` looks at
all rules together; `compile` is the way through them, `ruleset` and `words` what comes out.
`language`, `shapes` and `schema` are the same keys for people and editors. Pure: nothing here
reads a file, a clock or a log line.
"""

from agent.rules.compile import compile_rules
from agent.rules.examples import Run, try_examples
from agent.rules.places import Place, Problem, RuleError
from agent.rules.ruleset import Event, Example, Rule, RuleSet
from agent.rules.sources import values_of

__all__ = [
    "Event",
    "Example",
    "Place",
    "Problem",
    "Rule",
    "RuleError",
    "RuleSet",
    "Run",
    "compile_rules",
    "try_examples",
    "values_of",
]
