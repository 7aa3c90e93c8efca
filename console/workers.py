"""What the workers say of themselves: readiness and lag, from the health endpoints an operator names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["ask_workers"]

PATIENCE: Final = 1.5
METRICS: Final = {
    "kithwatch_consumer_lag_records": "behind",
    "kithwatch_events_total": "events",
    "kithwatch_dead_letters_total": "refused",
    "kithwatch_shard_accounts": "accounts",
}


def ask_workers(addresses: tuple[str, ...]) -> list[dict[str, Any]]:
    """Ask all workers at once; one that does not answer is listed as such."""
    if not addresses:
        return []
    with ThreadPoolExecutor(max_workers=min(len(addresses), 8)) as pool:
        return list(pool.map(_ask, addresses))


def _ask(address: str) -> dict[str, Any]:
    found: dict[str, Any] = {"address": address, "ready": False, "problem": None} | dict.fromkeys(METRICS.values(), 0.0)
    try:
        with httpx.Client(timeout=PATIENCE) as client:
            found["ready"] = client.get(f"{address}/readyz").status_code == 200
            text = client.get(f"{address}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in METRICS:
                    found[METRICS[sample.name]] += sample.value
    except (httpx.HTTPError, ValueError) as problem:
        found["problem"] = f"does not answer ({type(problem).__name__})"
    return found
