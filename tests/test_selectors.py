"""Label selectors: what the API server takes and refuses, from apimachinery's own tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.settings.selectors import is_selector
from tests.sim.selectors import label_matches
from tests.sim.status import ApiError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app=botkube,component=controller",
        "app.kubernetes.io/name=botkube",
        "x=a,y=b,z=c",
        "x!=a,y=b",
        "x==a",
        "x=",
        "x= ",
        "x=,z= ",
        "x = a , y = b",
        "x in (a)",
        "x in (a,b,c)",
        "x in ( a , b )",
        "x in(a)",
        "x in (,a)",
        "x in (a,,b)",
        "x in (,)",
        "x notin (a, b),y",
        "x",
        "!x",
        "! x",
        "x,!y",
        "x>1",
        "x < 7,y",
        "in=notin",
        "in in (in)",
        "1=2",
        f"{'a' * 63}={'b' * 63}",
        f"{'a.' * 126}a/x=y",
    ],
)
def test_what_the_api_server_reads_is_a_selector(text: str) -> None:
    assert is_selector(text)


@pytest.mark.parametrize(
    "text",
    [
        "app in (",
        "app in",
        "app in a",
        "app in ()",
        "app in (a b)",
        "app in (a))",
        "app in ((a)",
        "app notin (a",
        "x=a||y=b",
        "x==a==b",
        "x===a",
        "!x=a",
        "x!",
        "!",
        "=a",
        "x=a,",
        ",x=a",
        "x,,y",
        "x=a b",
        "x y",
        "x=(a)",
        "x=a/b",
        "x>a",
        "x>",
        "x,a>",
        "-x=a",
        "x-=a",
        "/x=a",
        "a/b/c=d",
        "A/x=a",
        "a..b/x=a",
        "x=-a",
        "ü=a",
        f"{'a' * 64}=b",
        f"a={'b' * 64}",
        f"{'a.' * 127}a/x=y",
        "a/" * 2000,
        "a=b," * 1000,
    ],
    ids=lambda text: text[:30],
)
def test_what_the_api_server_refuses_is_none(text: str) -> None:
    assert not is_selector(text)


@given(st.text("ab/.-_ ,=!()<>in", max_size=14) | st.text(max_size=6))
def test_what_is_taken_is_understood_by_the_simulated_server(text: str) -> None:
    if not is_selector(text) or "<" in text or ">" in text or "in(" in text:
        return
    try:
        label_matches(text)
    except ApiError:
        pytest.fail(text)
