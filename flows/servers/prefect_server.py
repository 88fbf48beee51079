"""Prefect's server on loopback, for pages of this machine alone.

Prefect answers whatever `Host` and `Origin` it is asked with: a page of any site, open in the
user's browser, could start a study here (a POST across origins, or DNS rebinding). MLflow refuses
both by itself; here Starlette's check of hosts does, and one like it for origins.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from prefect.server.api.server import create_app
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.servers.addresses import LOOPBACK

HOSTS = (LOOPBACK, "localhost")
# No dots but one before the ending, and no folders: nothing outside a report is a file of it.
_REPORT = re.compile(r"/report/(?P<profile>[A-Za-z0-9][\w-]*)/(?P<file>[\w-]+\.\w+)?")


class Reports:
    """The reports of the studies in the working folder, at /report/<profile>/; the rest passes.

    A report shows text from anywhere: by `sandbox` it does nothing in the name of Prefect's page.
    """

    def __init__(self, app: ASGIApp, data: Path) -> None:
        self.app = app
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file of a report, or whatever Prefect answers."""
        if scope["type"] == "http" and (asked := _REPORT.fullmatch(scope["path"])):
            headers = {"Content-Security-Policy": "sandbox allow-downloads allow-popups"}
            folder = self._data / asked["profile"] / "report"
            path = folder / (asked["file"] or "index.html")
            answer: Response = FileResponse(path, headers=headers)
            if not path.is_file():
                answer = PlainTextResponse(f"{path}: no such file; is the study made?", 404)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


class OwnOrigins:
    """Refuses what the pages of other sites ask for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A browser names the page's origin; the server's clients in Python name none."""
        origin = Headers(scope=scope).get("origin") if scope["type"] != "lifespan" else None
        if origin is not None and urlsplit(origin).hostname not in HOSTS:
            refusal = PlainTextResponse("Pages of other sites have no access", status_code=403)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.servers.prefect_server", description=__doc__
    )
    parser.add_argument("--port", type=int, default=4200)
    port = parser.parse_args().port
    served = Reports(create_app(final=True), Path("data").absolute())
    app = TrustedHostMiddleware(OwnOrigins(served), allowed_hosts=list(HOSTS))
    uvicorn.run(app, host=LOOPBACK, port=port, log_level="warning")


if __name__ == "__main__":
    main()
