"""W&B: not used, offline, online, out of reach; the key is never shown."""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from alexnet.doctor import connectivity
from alexnet.doctor.connectivity import check_reachable, run_with_timeout
from alexnet.doctor.report import Finding, Status
from conftest import compose_config

KEY = "0123456789" * 4

asked: list[str] = []  # headers of the requests to the test's server


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def check(*overrides: str) -> Finding:
    (finding,) = connectivity.check_tracking(compose_config(*overrides).logger, lambda url, seconds: None)
    return finding


def test_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("logger=csv") == Finding("W&B", Status.ok, "not used")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert check() == Finding("W&B", Status.ok, "not used")


def test_offline() -> None:
    assert "not logged in" in check().message
    assert "offline as requested" in check("logger.mode=offline").message
    assert {check().status, check("logger.mode=offline").status} == {Status.ok}


def test_online_without_a_key() -> None:
    finding = check("logger.mode=online")
    assert finding.status is Status.warning
    assert finding.advice == "Log in: wandb login."


def test_logged_in(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    finding = check()
    assert finding.status is Status.ok
    assert "logged in, online: https://" in finding.message
    assert KEY not in f"{finding} {capfd.readouterr()}"


def test_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)

    def unreachable(url: str, seconds: float) -> None:
        raise TimeoutError("no answer within 5 s")

    (finding,) = connectivity.check_tracking(compose_config().logger, unreachable)
    assert finding.status is Status.warning
    assert "cannot be reached (no answer within 5 s): runs are kept offline" in finding.message


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    finding = check()
    assert finding.status is Status.failed
    assert "logger=csv" in finding.advice
    assert check("logger=csv").status is Status.ok


class Server(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        asked.append(str(self.headers))
        if self.path == "/slow":
            time.sleep(2)
        self.send_response({"/gone": 404, "/broken": 503}.get(self.path, 200))
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    check_reachable(f"{url}/", 5)
    check_reachable(f"{url}/gone", 5)  # a server that answers is there
    with pytest.raises(OSError, match="503"):
        check_reachable(f"{url}/broken", 5)
    with pytest.raises(TimeoutError):
        check_reachable(f"{url}/slow", 0.3)
    assert not any(KEY in headers or "uthorization" in headers for headers in asked)
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="refused"):
        check_reachable(f"{url}/", 5)


def test_time_limit() -> None:
    assert run_with_timeout(5, lambda: 3) == 3
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        run_with_timeout(0.1, lambda: time.sleep(3))
    assert time.monotonic() - began < 2
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(5, lambda: 1 / 0)
