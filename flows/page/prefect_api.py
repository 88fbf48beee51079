"""Prefect's server as the flow asks it: short waits, and two kinds of error.

Prefect's own client waits a minute for a server that is gone and then ends whoever asked. To the
flow the server is a page: what it cannot be told now is told later or never, and the study goes on.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from prefect.settings import get_current_settings

from flows.servers.addresses import LOOPBACK, running_prefect_api

_TIMEOUT_S = 10.0  # a busy server takes seconds
_FIRST_TIMEOUT_S = 3.0
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class NoAnswerError(Exception):
    """The server is gone or busy; the same question may be answered later."""


class RefusedError(Exception):
    """The server will not do that, now or later."""


class Api(NamedTuple):
    """One server's API."""

    address: str
    """Ends in /api."""
    own: bool = False
    """Whether the server is this checkout's: its database is, and it serves the report."""

    @property
    def page(self) -> str:
        """Where a browser finds the server's page."""
        return self.address.removesuffix("/api")

    def get(self, path: str, timeout_s: float = _TIMEOUT_S) -> Any:
        """The answer to a GET.

        Raises:
            NoAnswerError: as it says.
            RefusedError: as it says.
        """
        return self._ask("GET", path, None, timeout_s)

    def post(self, path: str, /, **body: Any) -> Any:
        """The answer to a POST of JSON; raises as `get`."""
        return self._ask("POST", path, body, _TIMEOUT_S)

    def send(self, method: str, path: str, body: Any) -> Any:
        """The answer to another request of JSON; raises as `get`."""
        return self._ask(method, path, body, _TIMEOUT_S)

    def answers(self) -> bool:
        """Whether the server is up."""
        try:
            self.get("health", _FIRST_TIMEOUT_S)
        except (NoAnswerError, RefusedError):
            return False
        return True

    def _ask(self, method: str, path: str, body: Any, timeout_s: float) -> Any:
        content = None if body is None else json.dumps(body).encode()
        try:
            address = f"{self.address}/{path}"
            request = urllib.request.Request(address, content, _headers(), method=method)
            with _opener(self.address).open(request, timeout=timeout_s) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace")
            if error.code in _AGAIN or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise NoAnswerError(f"{self.address}: {error.code} {said}") from None
            raise RefusedError(f"{address}: {error.code} {said}") from None
        except (OSError, ValueError, HTTPException) as error:  # ValueError: no URL
            reason = getattr(error, "reason", error)
            raise NoAnswerError(f"{self.address} does not answer ({reason})") from None
        try:
            return json.loads(text) if text else None
        except ValueError:  # a page, or half an answer
            raise NoAnswerError(f"{self.address}: no answer of Prefect's") from None


def find_api() -> Api | None:
    """The server that PREFECT_API_URL or Prefect's settings name, whether or not it answers.

    Where none is named, that of this checkout's `make ui` if it answers.
    """
    named, running = get_current_settings().api.url, running_prefect_api()
    if named and named.rstrip("/") != running:
        return Api(named.rstrip("/"))
    return Api(running, own=True) if running else None


def _headers() -> dict[str, str]:
    settings = get_current_settings().api
    headers = {"Content-Type": "application/json"}
    if settings.key:
        headers["Authorization"] = f"Bearer {settings.key.get_secret_value()}"
    elif settings.auth_string:
        told = settings.auth_string.get_secret_value().encode()
        headers["Authorization"] = f"Basic {base64.b64encode(told).decode()}"
    return headers


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Loopback is never reached through a proxy."""
    near = urlsplit(address).hostname in {LOOPBACK, "localhost", "::1"}
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if near else []))
