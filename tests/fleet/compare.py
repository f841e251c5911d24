"""The warehouse's answers beside the true ones.

Owns how two answers are compared: every row with every column, numbers to nine digits.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.fleet.truth import VIEWS, start_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.fleet.truth import Row

Plain: TypeAlias = tuple[tuple[str, Any], ...]


def differences(view: str, answer: Iterable[Mapping[str, Any]], truth: Iterable[Row]) -> list[str]:
    """Return what an answer has and the truth has not, and the other way round."""
    found = Counter(map(_plain, answer))
    true = Counter(_plain({**row, "week": _monday(row["week"])}) for row in truth)
    return [
        *(f"{view} says  {dict(row)}" for row in sorted(found - true, key=str)),
        *(f"{view} lacks {dict(row)}" for row in sorted(true - found, key=str)),
    ]


def compare(cursor: Any, truth: Mapping[str, list[Row]]) -> list[str]:  # noqa: ANN401 of any driver
    """Return all differences between the answers of a database and the true ones."""
    found = []
    for view in VIEWS:
        cursor.execute(f"select * from {view}")  # noqa: S608 a name of ours
        names = [one[0] for one in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        found += differences(view, rows, truth[view])
    return found


def _monday(week: int) -> date:
    return datetime.fromtimestamp(start_of(week), UTC).date()


def _plain(row: Mapping[str, Any]) -> Plain:
    return tuple((name, _value(row[name])) for name in sorted(row))


def _value(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        # 7, 7.0 and Decimal(7) are one number here.
        return f"{float(value):.9g}"
    return value
