"""MLflow's server on loopback, and a page of ours that leads to the saved views of a profile.

    /figure4/<profile>/<view>, e.g. /figure4/tiny/sizes

MLflow numbers experiments, so an address of its own can only be given once a study is there; and on
its first visit it opens its assistant over a third of the page, for which it has no setting but a
mark in the browser. That page looks up the number and sets the mark. The rest is what `mlflow
server --workers 1` does, in one process instead of two.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

import uvicorn
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.servers.addresses import LOOPBACK

PREFIX = "/figure4/"
_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>figure4</title>
<body>Looking for the study ...
<script>
"use strict";
const [profile, view] = location.pathname.split("/").slice(2).map(decodeURIComponent);
// MLflow's own mark that its assistant has been shown; its button stays.
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
const query = new URLSearchParams({experiment_name: `figure4-${profile}`});
fetch(`/ajax-api/2.0/mlflow/experiments/get-by-name?${query}`)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
  .then(({experiment}) => {
    const saved = (key) => experiment.tags.some((tag) => tag.key.endsWith(`.${key}`));
    const narrow = innerWidth < 1000 && saved(`${view}-narrow`);
    const shown = new URLSearchParams({
      workflowType: "machine_learning", viewStateShareKey: narrow ? `${view}-narrow` : view,
    });
    // Studies are read row by row, where a row has room beside its name.
    if (view !== "studies" || narrow) shown.set("compareRunsMode", "CHART");
    location.replace(`/#/experiments/${experiment.experiment_id}/runs?${shown}`);
  })
  .catch(() => location.replace("/"));  // no study of this profile yet
</script>
"""


class Store(NamedTuple):
    """Where MLflow keeps things."""

    database: str
    """Address of the database of runs, e.g. sqlite:///mlflow.db."""
    artifacts: str
    """Folder or bucket, e.g. file:///mlartifacts or s3://mlflow."""


class WithViews:
    """MLflow's application with our page in front."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page holds nothing of a study: what it asks MLflow for, MLflow guards."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await HTMLResponse(_PAGE)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def create_app(store: Store) -> ASGIApp:
    """MLflow's application over `store`; makes or upgrades the tables of its database."""
    from mlflow.server import constants, handlers

    root = "mlflow-artifacts:/"  # clients send artefacts to the server, which keeps them
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: store.database,
        constants.REGISTRY_STORE_URI_ENV_VAR: store.database,
        constants.ARTIFACT_ROOT_ENV_VAR: root,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: store.artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    handlers.initialize_backend_stores(store.database, store.database, root)
    from mlflow.server.fastapi_app import app  # reads the environment when it is imported

    return WithViews(app)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.servers.mlflow_server",
        epilog="MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION say where things go.",
    )
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    names = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION")  # MLflow's own
    store = Store(*(os.environ[name] for name in names))
    uvicorn.run(create_app(store), host=LOOPBACK, port=port, log_level="warning")


if __name__ == "__main__":
    main()
