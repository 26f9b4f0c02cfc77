"""A W&B server on loopback that knows one user and one project, and keeps the reports it is given."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT = "somebody", "alexnet-lab"
USER = {
    **{"id": "u1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "name": ENTITY},
    **{"teams": {"edges": []}, "admin": False, "deletedAt": None, "apiKeys": {"edges": []}},
}


class FakeServer(ThreadingHTTPServer):
    """`reports` are the variables of the upsertView mutations, `queries` all names of operations."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reports: list[dict[str, Any]] = []
        self.queries: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the `data` of the answer to a GraphQL document."""
        self.queries.append(query)
        project = {"id": "p1", "internalId": "p1", "name": PROJECT, "entityName": ENTITY}
        if "upsertView" in query:
            self.reports.append(variables)
            view = {"id": "v1", "type": "runs", "project": project, "updatedAt": "2026-01-01T00:00:00Z"}
            view |= {key: variables.get(key) for key in ("name", "displayName", "description", "spec")}
            return {"upsertView": {"view": view, "inserted": True}}
        if "viewer" in query:
            return {"viewer": USER}
        if "models(" in query or "projects(" in query:
            project |= {
                "__typename": "Project",
                "createdAt": "2026-01-01T00:00:00Z",
                "isBenchmark": False,
                "user": USER,
            }
            page = {"endCursor": None, "hasNextPage": False}
            return {"models": {"edges": [{"node": project, "cursor": ""}], "pageInfo": page}}
        return {"project": project}


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer: dict[str, Any] = {}
        if self.path.endswith("/graphql"):
            request = json.loads(body)
            answer = {"data": self.server.answer(request["query"], request.get("variables") or {})}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def fake_wandb() -> Iterator[FakeServer]:
    with FakeServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
