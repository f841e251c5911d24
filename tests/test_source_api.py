"""What the client makes of credentials that it is given, and of answers that it gets."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import subprocess
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kubernetes_asyncio.config import ConfigException

from agent.source.api import (
    MAX_ANSWER_BYTES,
    Access,
    ApiError,
    Client,
    NoCluster,
    date_seconds,
)
from agent.source.gathering import TLS_BUFFER_BYTES


def kubeconfig(url: str, *, token: str = "", proxy: str = "") -> str:
    cluster = {"server": url} | ({"proxy-url": proxy} if proxy else {})
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": "one", "cluster": cluster}],
            "users": [{"name": "one", "user": {"token": token} if token else {}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        "clusters: [",
        "a: \x07",
        "[]",
        "clusters: 1",
        kubeconfig(""),
        kubeconfig("127.0.0.1:1"),
        kubeconfig("https://127.0.0.1:port"),
        kubeconfig("https://[::1"),
        kubeconfig("http://a..b:6443"),
        kubeconfig(f"http://{'a' * 64}:6443"),
        kubeconfig("https://x").replace(
            '"server"', '"certificate-authority-data": "AAAA", "server"'
        ),
        kubeconfig("https://x").replace(
            '"user": {}', '"user": {"client-certificate-data": "AAAA"}'
        ),
        kubeconfig("https://x").replace('"cluster": "one"', '"cluster": "two"'),
        kubeconfig("https://x").replace('"current-context": "one"', '"current-context": "two"'),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_no_cluster(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(NoCluster, match="kubeconfig"):
        async with Client(Access(str(tmp_path / "kubeconfig")), "test"):
            pass


async def test_its_connections_have_small_buffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", 256 * 1024)
    (tmp_path / "kubeconfig").write_text(kubeconfig("https://127.0.0.1:1"))
    async with Client(Access(str(tmp_path / "kubeconfig")), "test"):
        assert sslproto.SSLProtocol.max_size == TLS_BUFFER_BYTES


def test_the_generated_client_is_not_imported() -> None:
    code = """
import sys
from agent.source.api import load_credentials_code
config, configuration = load_credentials_code()
print(*sorted(name for name in sys.modules if name.startswith("kubernetes_asyncio.client.")))
"""
    done = subprocess.run(  # noqa: S603 our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert done.stdout.split() == [
        "kubernetes_asyncio.client.configuration",
        "kubernetes_asyncio.client.exceptions",
    ]


async def test_an_authority_that_lacks_what_python_3_13_asks_of_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of EKS name no key, those of older microk8s no use of it."""
    strict = ssl.create_default_context()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: strict)
    (tmp_path / "kubeconfig").write_text(kubeconfig("https://127.0.0.1:1"))
    async with Client(Access(str(tmp_path / "kubeconfig")), "test"):
        assert not strict.verify_flags & ssl.VERIFY_X509_STRICT
        assert strict.check_hostname
        assert strict.verify_mode is ssl.CERT_REQUIRED


@asynccontextmanager
async def answering(
    folder: Path, answer: bytes, *, token: str = ""
) -> AsyncIterator[tuple[Client, list[bytes]]]:
    """Connect a client to a server that says the same to everybody, and collect its requests."""
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (folder / "kubeconfig").write_text(kubeconfig(url, token=token))
        async with Client(Access(str(folder / "kubeconfig")), "test") as client:
            yield client, requests


def http(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = (f"HTTP/1.1 {status} said", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


async def refusal(folder: Path, answer: bytes) -> ApiError:
    async with answering(folder, answer) as (client, _):
        with pytest.raises(ApiError) as caught:
            await client.get("/version")
    return caught.value


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"7", b"true", b"", b"{"])
async def test_an_answer_that_is_no_object_is_no_answer(tmp_path: Path, body: bytes) -> None:
    assert (await refusal(tmp_path, http(body))).status == 0


async def test_an_answer_without_end_is_given_up(tmp_path: Path) -> None:
    body = b"{" + b" " * MAX_ANSWER_BYTES + b"}"

    assert (await refusal(tmp_path, http(body))).reason == "answer too large"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("", None),
    ],
)
async def test_a_retry_after_that_is_no_number_is_none(
    tmp_path: Path, header: str, seconds: float | None
) -> None:
    error = await refusal(tmp_path, http(b"{}", f"Retry-After: {header}", status=503))

    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"reason":"Forbidden"}', "Forbidden"),
        (b"{}", "Forbidden"),
        (b"[]", "Forbidden"),
        (b'{"reason":["secret"]}', "Forbidden"),
        (b'{"reason":"pods \\"secret\\" is not yours"}', "Forbidden"),
    ],
)
async def test_of_a_refusal_only_a_word_is_kept(tmp_path: Path, body: bytes, reason: str) -> None:
    assert (await refusal(tmp_path, http(body, status=403))).reason == reason


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Whoever answers for the API server must not be able to send the token elsewhere."""
    answer = http(b"", "Location: /elsewhere", status=307)
    async with answering(tmp_path, answer, token="secret") as (client, requests):
        with pytest.raises(ApiError) as caught:
            await client.get("/version")
        with pytest.raises(ApiError):
            async with client.stream("/log", {}, read_seconds=1, accept="*/*"):
                pass

    assert caught.value.status == 307
    assert [request.split()[1] for request in requests] == [b"/version", b"/log"]


@pytest.mark.parametrize(
    "text",
    [
        kubeconfig("http://127.0.0.1:1", proxy="http://secret["),
        kubeconfig("http://127.0.0.1:1", proxy="http://secret..b:1"),
        kubeconfig("http://127.0.0.1:1", token="secret\nsecret"),
    ],
    ids=["proxy", "host of a proxy", "token"],
)
async def test_what_fits_into_no_request_is_no_answer_and_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "kubeconfig").write_text(text)
    async with Client(Access(str(tmp_path / "kubeconfig")), "test") as client:
        with pytest.raises(ApiError) as caught:
            await client.get("/version")

    assert caught.value.status == 0
    assert "secret" not in f"{caught.value} {caplog.text}"


async def test_a_token_that_cannot_be_read_anew_is_no_answer(tmp_path: Path) -> None:
    """The file may be empty for a moment, or a program that makes tokens fail."""

    async def fail(_configuration: object) -> None:
        raise ConfigException

    async with answering(tmp_path, http(b"{}"), token="secret") as (client, requests):
        client._configuration.refresh_api_key_hook = fail
        with pytest.raises(ApiError) as caught:
            await client.get("/version")
        client._configuration.refresh_api_key_hook = None

        assert (caught.value.status, requests) == (0, [])
        assert await client.get("/version") == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000),
        ("Fri, 15 Jan 2027 08:00:00 -0000", 1_800_000_000),
        ("Fri, 15 Jan 99999999999 08:00:00 GMT", None),
        ("Fri, 15 Jan 2027", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_read_or_is_none(text: str, seconds: int | None) -> None:
    assert date_seconds(text) == seconds
