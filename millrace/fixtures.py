"""Fixtures for pytest, which finds them by itself where Millrace is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[..., list[dict[str, Any]]]:
    """`millrace.testing.judged` for the pipeline in the test's own folder."""
    # Imported here, as it loads PySpark, which other tests need not.
    from millrace.testing import judged

    return partial(judged, request.path.parent)
