"""Whether the destination can be reached: one request that says nothing.

Owns what is asked, GET of its root with neither key, id nor body, by the way that batches take
(proxy variables included), and what an answer means. Whatever the destination itself answers, it
was reached.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import aiohttp

Reach: TypeAlias = Literal["reached", "name", "tls", "proxy", "gateway", "timeout", "connection"]
"""The first is success, the others are what there was instead."""

_PROXY_STATUS = 407
_GATEWAY_STATUSES = frozenset({502, 503, 504})


async def reach(session: aiohttp.ClientSession, origin: str, *, seconds: float) -> Reach:
    """Ask once; never raises for what a network can do."""
    try:
        async with session.get(
            f"{origin}/",
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
            middlewares=(_say_nothing,),
        ) as response:
            if response.status == _PROXY_STATUS:
                return "proxy"
            return "gateway" if response.status in _GATEWAY_STATUSES else "reached"
    except TimeoutError:
        return "timeout"
    except aiohttp.ClientConnectorDNSError:
        return "name"
    except aiohttp.ClientSSLError:
        return "tls"
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError):
        return "proxy"
    except (aiohttp.ClientError, OSError, ValueError):
        return "connection"


async def _say_nothing(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # With `trust_env` aiohttp takes credentials out of ~/.netrc, which nobody meant for this.
    request.headers.pop("Authorization", None)
    return await handler(request)
