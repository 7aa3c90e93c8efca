"""Evidence packs: a case as a document that a person can take to the authorities. Always marked as a draft.

The fields follow the CyberTipline reporting API of the National Center for Missing & Exploited Children (NCMEC),
"CyberTipline Reporting API Technical Documentation": incident summary, reporter, reported person, victims, and
additional information. There is no media and no message in it: the console has none. Nothing is sent anywhere; a
person reads it, completes it and submits it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from console.casefile import CaseFile
from console.keys import Keys
from console.network import outcome_of
from console.tables import identities, protections
from console.words import AGE_BANDS, MINORS, POLICIES, REASONS, SEVERITIES
from streams.timestamps import rfc3339

__all__ = ["INCIDENT_TYPES", "Pack", "make_pack", "pack_json", "sealed"]

INCIDENT_TYPES: Final = {
    "child_safety.grooming": "Online Enticement of Children for Sexual Acts",
    "child_safety.contact": "Online Enticement of Children for Sexual Acts",
    "child_safety.sextortion": "Online Enticement of Children for Sexual Acts",
}
"""From a policy of the console to an incident type of the CyberTipline; others have none and are left to the person."""
DRAFT: Final = (
    "DRAFT. Made from automatic flags and a reviewer's decision. A person has to check, complete and submit it."
)
NOT_HELD: Final = "not held by kithwatch; to be completed by the platform"


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A case in the shape of a CyberTipline report.

    Attributes
    ----------
    status
        That it is a draft.
    made
        When, by whom, from which case.
    incidentSummary, reporter, personOrUserReported, victims, additionalInfo, timeline
        As in the report; what the console does not hold says so.
    """

    status: str
    made: dict[str, Any]
    incidentSummary: dict[str, Any]  # noqa: N815  # the report's own name
    reporter: dict[str, Any]
    personOrUserReported: dict[str, Any]  # noqa: N815
    victims: list[dict[str, Any]]
    additionalInfo: list[dict[str, Any]]  # noqa: N815
    timeline: list[dict[str, Any]]


def make_pack(connection: Connection, file: CaseFile, *, by: str, now: int) -> Pack:
    """Return the pack of a case, with account ids: whoever makes it has said why."""
    accounts = [file.case["account"], *(contact["other"] for contact in file.contacts)]
    query = select(identities.c.account, identities.c.account_id).where(identities.c.account.in_(accounts))
    ids = {row.account: row.account_id for row in connection.execute(query)}
    steps: dict[str, list[str]] = {}
    taken = select(protections).where(protections.c.account.in_(accounts)).order_by(protections.c.id)
    for row in connection.execute(taken):
        steps.setdefault(row.account, []).append(f"{row.step} ({rfc3339(row.at)})")
    case = file.case
    decision = next(
        (one for one in file.decisions if one["action"] in ("confirm", "dismiss") and not one["undone_at"]), None
    )
    policy = decision["policy"] if decision and decision["action"] == "confirm" else None
    minors = [contact for contact in file.contacts if contact["age_band"] in MINORS]
    return Pack(
        status=DRAFT,
        made={"at": rfc3339(now), "by": by, "case": case["id"], "pseudonym": case["account"], "source": "kithwatch"},
        incidentSummary={
            "incidentType": INCIDENT_TYPES.get(policy or "", "to be chosen by the reporter"),
            "incidentDateTime": rfc3339(case["first_flag_at"]),
            "incidentDateTimeDescription": "event time of the first flag; see the timeline",
            "platform": NOT_HELD,
            "escalateToHighPriority": _urgent(file),
        },
        reporter={"reportingPerson": NOT_HELD, "contactPerson": NOT_HELD, "legalURL": NOT_HELD},
        personOrUserReported={
            "espIdentifier": ids.get(case["account"], "erased"),
            "espService": NOT_HELD,
            "ageBand": AGE_BANDS[case["age_band"]],
            "ageSource": file.account["age_source"] or "not told",
            "accountCreated": rfc3339(made) if (made := file.account["created_at"]) else "not told",
            "ipCaptureEvent": NOT_HELD,
            "additionalInfo": case["headline"],
        },
        victims=[
            {
                "espIdentifier": ids.get(contact["other"], "erased"),
                "ageBand": AGE_BANDS[contact["age_band"]],
                "firstContact": rfc3339(contact["first_at"]),
                "lastContact": rfc3339(contact["last_at"]),
                "outcome": outcome_of(contact["outcomes"]),
                "signs": contact["signs"],
                "protectiveSteps": steps.get(contact["other"], []),
            }
            for contact in minors
        ],
        additionalInfo=[
            {
                "detector": flag["detector"],
                "severity": SEVERITIES[flag["peak_severity"]],
                "explanation": flag["explanation"],
                "counterfactual": flag["counterfactual"],
                "window": [rfc3339(flag["window_start"]), rfc3339(flag["window_end"])],
                "features": flag["evidence"]["features"],
                "thresholds": flag["evidence"]["thresholds"],
                "baseline": flag["evidence"]["baseline"],
                "eventIds": flag["evidence"]["event_ids"],
                "flagId": flag["flag_id"],
                "policyVersion": flag["policy_version"],
                "shadow": flag["shadow"],
            }
            for flag in file.flags
        ],
        timeline=_timeline(file),
    )


def _urgent(file: CaseFile) -> str:
    """Return the words for the report's high priority field: a person's judgement, never the machine's."""
    for one in file.decisions:
        if one["action"] == "escalate" and one["reason"] == "imminent_risk" and not one["undone_at"]:
            return "a reviewer saw an imminent risk: " + (one["note"] or "no note")
    return "no"


def _timeline(file: CaseFile) -> list[dict[str, Any]]:
    entries = [
        {"at": flag["raised_at"], "what": f"Flag raised by {flag['detector']}: {flag['explanation']}"}
        for flag in file.flags
    ]
    entries += [
        {"at": contact["first_at"], "what": f"First contact with an account, {AGE_BANDS[contact['age_band']]}"}
        for contact in file.contacts
        if contact["age_band"] in MINORS
    ]
    for one in file.decisions:
        if one["action"] in ("confirm", "dismiss", "escalate", "reopen") and not one["undone_at"]:
            said = f"{one['action']}: {REASONS[one['action']][one['reason']]}"
            if one["policy"]:
                said += f" ({POLICIES[one['policy']]})"
            entries.append({"at": one["at"], "what": f"Reviewer's decision, {said}"})
    entries.sort(key=lambda entry: entry["at"])
    return [{"at": rfc3339(entry["at"]), "what": entry["what"]} for entry in entries]


def pack_json(pack: Pack) -> bytes:
    """Return a pack as JSON."""
    return msgspec.json.format(msgspec.json.encode(pack), indent=2)


def sealed(keys: Keys, data: bytes) -> str:
    """Return the seal of a pack's JSON, by which this console can tell later whether a copy was changed."""
    return keys.seal(data)
