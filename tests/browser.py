"""Pages in a real browser: Chromium without a window, driven by Selenium."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

OPTIONS = ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "window-size=1200,1400")
DISABLED = ("quic", "background-networking", "component-update", "sync")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser, and end it; skip the test where none is installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for name in (*OPTIONS, *(f"disable-{name}" for name in DISABLED)):
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield started
    finally:
        started.quit()


def set_theme(browser: Any, theme: str) -> None:
    """Show pages as for a reader who prefers a light or dark theme."""
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def set_width(browser: Any, width: int) -> None:
    """Show pages so many pixels wide: a window itself cannot be as narrow as a phone."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return window.innerWidth") == width


def until(condition: Callable[[], bool]) -> None:
    """Wait for the page, at most ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the page did not change"
        time.sleep(0.05)
