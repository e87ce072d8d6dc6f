"""The browser of the tests. Playwright's own download is not needed: any Chromium of this machine does."""

from __future__ import annotations

import os
import shutil

import pytest

# The first one is without the frame around pages, which takes half a second of a core for each window.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# It asks nobody for updates or experiments, and needs neither a GPU nor, as root, a sandbox.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """The path of a Chromium: that of the variable CHROMIUM, or an installed one. Without one the test is skipped."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("There is no Chromium here (apt-get install chromium), and CHROMIUM names none")
    return found
