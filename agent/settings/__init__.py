"""What the agent is told: every setting in one table, read from file, environment and flags.

Stays at the top: only the command line imports it, and hands plain values down.
"""

from agent.settings.load import (
    CONFIG_VARIABLE,
    Fault,
    SettingsError,
    destination,
    has_destination,
    load,
    mode,
    switches,
)
from agent.settings.table import (
    DEFAULT_CONFIG,
    DEFAULT_STATE,
    PREFIX,
    TABLE,
    Settings,
    Switch,
    add_flags,
    table,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "DEFAULT_STATE",
    "PREFIX",
    "TABLE",
    "Fault",
    "Settings",
    "SettingsError",
    "Switch",
    "add_flags",
    "destination",
    "has_destination",
    "load",
    "mode",
    "switches",
    "table",
]
