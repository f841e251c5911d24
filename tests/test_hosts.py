"""Which URL can be asked: every one that is taken must fit into a request."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from agent.hosts import is_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.segment.io",
        "http://localhost:8080/prefix",
        "http://collector.segment.svc.cluster.local.",
        "http://my_service:80",
        "http://127.0.0.1:6443",
        "http://[::1]:6443",
        "http://[fe80::1%eth0]",
        "https://xn--bcher-kva.example",
        "https://bücher.example",
        f"http://{'a' * 63}.io",
        "https://10.0.0.1.nip.io",
    ],
)
def test_what_can_be_asked_is_taken(url: str) -> None:
    assert is_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "api.segment.io",
        "ftp://api.segment.io",
        "http://",
        "http://api..segment.io",
        "http://.api.segment.io",
        "http://.:1",
        "http://a:0",
        "http://a:65536",
        f"http://{'a' * 64}.io",
        f"http://{'ü' * 60}.io",
        f"http://{'.'.join(['a' * 60] * 5)}",
        "https://xn--.invalid",
        "https://XN--.invalid",
        "https://xn--a-.invalid",
        "https://xn--\x7f.invalid",
        "https://-a.invalid",
        "https://a-.invalid",
        "https://a%20b.invalid",
        "https://*.invalid",
        "http://256.1.1.1",
        "http://1.2.3",
        "http://[::1",
        "http://[::1]x",
        "http://[v1.a]",
        "http://[]",
    ],
)
def test_what_fits_into_no_request_is_refused(url: str) -> None:
    assert not is_base_url(url)


labels = st.text(string.ascii_letters + string.digits + "-_.%*üß", max_size=8) | st.sampled_from(
    ["xn--", "xn--a", "a" * 63, "a" * 64, "1", "0x1", ""]
)


@given(st.lists(labels, min_size=1, max_size=6))
def test_the_client_can_encode_every_host_that_is_taken(parts: list[str]) -> None:
    url = f"http://{'.'.join(parts)}:80"
    if is_base_url(url):
        host = URL(url).raw_host
        assert host

        host.encode("idna")
