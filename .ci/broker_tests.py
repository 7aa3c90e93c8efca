"""A pytest plugin that keeps only the tests which use a broker: by the `broker` fixture, or marked `kafka`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect every test without a broker."""

    def uses_a_broker(item: pytest.Item) -> bool:
        return "broker" in getattr(item, "fixturenames", ()) or item.get_closest_marker("kafka") is not None

    others = [item for item in items if not uses_a_broker(item)]
    items[:] = [item for item in items if uses_a_broker(item)]
    config.hook.pytest_deselected(items=others)
