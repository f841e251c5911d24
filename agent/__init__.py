"""BotKube Analytics: count what BotKube does, from its pod logs, and deliver the counts to Segment.

Owns only the version. Start reading at `agent.pipeline`; the command line is `agent.commands`.
"""

__version__ = "0.1.0"
