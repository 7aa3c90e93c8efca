"""What every detector must do, tried on each: a new one is tested at once."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.counterfactual import NOUNS, account_for
from detectors.cusum import SUM
from detectors.detector import Case, Detector, Story
from detectors.engine import ALL_DETECTORS
from detectors.evidence import DETECTORS, FAMILIES, MEMBER, SHARES, family_numbers
from detectors.judge import Judge
from detectors.policy import Policy, default_policy
from detectors.sums import SUMS, Sum
from detectors.table import MASS_LIMIT, MINOR_LIMIT, VOUCHED_LIMIT
from detectors.victim_exposure import NAME as EXPOSURE
from graph.batch import Sign
from graph.state import COLUMNS, CONTACT, DAY, FEATURES, HOUR, LINKED, MINOR, STRANGER
from streams.vocabulary import DETECTORS as LABELS
from tests.detectors.rows import NOW, any_rows, rows
from tests.detectors.test_evidence import any_sums, learned, weighed

POLICY = default_policy()
NAMES = list(ALL_DETECTORS)
ANSWER_TIME = 12 * HOUR
STEP = math.log(POLICY.detectors.minor_targeting.sequential_odds)
"""Nats of one more minor in the sequential test."""
SENTENCE = re.compile(r"[A-Z1-9].*[^.]\.")
"""One sentence: it begins as sentences do, ends in one full stop, and has none inside but in numbers."""


@pytest.fixture(params=NAMES)
def detector(request: pytest.FixtureRequest) -> Detector:
    return ALL_DETECTORS[request.param]


def one_sentence(text: str) -> bool:
    return bool(SENTENCE.fullmatch(text)) and not re.search(r"\.(?!\d)(?=.)", text)


def taught(seed: int, policy: Policy = POLICY) -> Judge:
    """A judge with references of some platform."""
    judge = Judge(policy, ANSWER_TIME)
    there, here = learned(seed), judge.reference
    here.share, here.rho, here.mean[0], here.shape[0] = there.share, there.rho, there.mean[0], there.shape[0]
    if seed % 3 == 1:  # a team that has let its decisions weigh detectors
        by_detector = dict(zip(DETECTORS, np.geomspace(0.25, 4.0, len(DETECTORS)), strict=True))
        judge.weight[:] = [by_detector[family.detector] for family in FAMILIES]
    return judge


def cases(judge: Judge, table: NDArray[np.void]) -> list[Case]:
    judged = judge.judge(table)
    return [
        Case(table[i], int(judged.cohort[i]), judged.sums[i], judged.cusum[i], judged.nats[i], judge.reference)
        for i in range(len(table))
    ]


def finite(*parts: dict[str, float]) -> bool:
    return all(math.isfinite(value) and type(value) in (int, float) for part in parts for value in part.values())


def test_each_has_a_docstring_that_says_how_it_works_and_what_evades_it(detector: Detector) -> None:
    text = importlib.import_module(type(detector).__module__).__doc__ or ""
    assert text.startswith(f"`{detector.name}`: ")
    sections = ("Statistics", "Assumptions", "Source", "What evades it")
    assert re.findall(r"^(.+)\n-{4,}\n\S", text, re.MULTILINE) == list(sections)


def test_each_names_its_families_in_its_docstring(detector: Detector) -> None:
    text = importlib.import_module(type(detector).__module__).__doc__ or ""
    unnamed = [f for f in family_numbers(detector.name) if f"`{FAMILIES[f].name}`" not in text]
    # `_minors` of a family is told together with it
    assert [FAMILIES[f].name for f in unnamed if not FAMILIES[f].name.endswith("_minors")] == []


def test_detectors_families_policy_and_metrics_name_the_same() -> None:
    # what is said of minors at risk has no part in anybody's sum
    assert set(NAMES) == set(DETECTORS) == set(LABELS) - {EXPOSURE}
    assert set(LABELS) == set(type(POLICY.detectors).__struct_fields__)
    for name in NAMES:
        assert ALL_DETECTORS[name].name == name
        assert list(POLICY.detectors.summed(name).odds) == [FAMILIES[f].name for f in family_numbers(name)]
    assert set(NOUNS) == {family.name for family in FAMILIES}
    assert MEMBER.sum(axis=1).tolist() == [1.0] * len(FAMILIES)


@settings(max_examples=100)
@given(table=any_rows(most=12), seed=st.integers(0, 20), nats=st.floats(-60, 110))
def test_whatever_the_row_each_tells_a_finite_story_in_one_sentence(
    table: NDArray[np.void], seed: int, nats: float
) -> None:
    judge = taught(seed)
    for case in cases(judge, table):
        for name, detector in ALL_DETECTORS.items():
            story = detector.explain(case)
            assert one_sentence(story.explanation), story.explanation
            assert finite(story.features, story.baseline)
            assert story.features
            assert story.baseline
            assert 0 < story.length <= 400 * DAY
            assert story.mask
            # what of a contact does not change after the row: or evidence would depend on how the stream is cut
            assert not story.mask & ~(STRANGER | LINKED | MINOR | CONTACT)
            for limit in (0, MASS_LIMIT, MASS_LIMIT + 2, MINOR_LIMIT, MINOR_LIMIT + 2, VOUCHED_LIMIT):
                why = account_for(case, name, nats, judge, POLICY, limit)
                assert finite(why.features, why.thresholds)
                assert one_sentence(why.counterfactual), why.counterfactual
                assert why.contributions == "" or one_sentence(why.contributions.removeprefix(" "))


@settings(max_examples=60)
@given(table=any_rows(most=8), seed=st.integers(0, 20))
def test_evidence_is_what_stood_in_the_row_and_in_the_sums_as_of_it(table: NDArray[np.void], seed: int) -> None:
    for case in cases(taught(seed), table):
        counts = dict(zip(COLUMNS, case.row["counts"].tolist(), strict=True))
        for detector in ALL_DETECTORS.values():
            features = detector.explain(case).features
            told = {name: value for name, value in features.items() if name in COLUMNS}
            assert told == {name: counts[name] for name in told}
            recent = {name.removeprefix("recent_"): v for name, v in features.items() if name.startswith("recent_")}
            assert recent == {name: round(float(case.sums[SUMS.index(name)]), 2) for name in recent}
            for name in ("friends", "shared", "sharers"):
                assert features.get(name, int(case.row[name])) == int(case.row[name])


@pytest.mark.parametrize("count", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("age", range(6))
def test_extreme_rows_are_judged_and_explained(count: int, age: int) -> None:
    table = rows(8, account=3, hash=4, age=age, target_age=np.arange(8) % 6, shared=255, sharers=255, waited=2**32 - 1)
    table["created"] = [0, 1, 2**32 - 1, 0, 1, 2**32 - 1, 0, 1]
    table["flags"], table["what"], table["kind"] = 0xFFFF, np.arange(8) % 4, np.arange(8)
    table["counts"], table["signs"], table["new_signs"] = count, 0x1FF, 0x1FF
    table["time"][4:] += 10**12
    judge = Judge(POLICY, ANSWER_TIME)
    judge.sums.follow(rows(3000, account=3, hash=4))
    for case in cases(judge, table):
        assert np.isfinite(case.nats).all()
        for name, detector in ALL_DETECTORS.items():
            story, why = detector.explain(case), account_for(case, name, 50.0, judge, POLICY, 0)
            assert finite(story.features, story.baseline, why.features, why.thresholds)
            assert one_sentence(story.explanation)


# what is said, on one case of each


def told(name: str, *, shared: int = 0, sharers: int = 0, signs: int = 0, counts: dict[str, int] | None = None,
         cusum: tuple[int, int, float, int] | None = None, **sums: float) -> Story:  # fmt: skip
    """The story of an adult of whom this is known, where all shares are a quarter and everybody meets two strangers."""
    judge = Judge(POLICY, ANSWER_TIME)
    judge.reference.share[:], judge.reference.mean[:] = 0.25, 2.0
    row = rows(1, shared=shared, sharers=sharers, signs=signs, messages=9, **(counts or {}))[0]
    v = np.zeros(Sum.SIZE, np.float32)
    for which, value in sums.items():
        v[SUMS.index(which)] = value
    test = np.zeros(1, SUM)
    if cusum:
        test["minors"], test["strangers"], test["value"] = cusum[:3]
        test["since"], test["at"] = NOW - cusum[3], NOW
    case = Case(row, 15, v, test[0], np.zeros(len(FAMILIES)), judge.reference)
    return ALL_DETECTORS[name].explain(case)


def test_mass_add_says_how_many_strangers_and_what_is_taken_off() -> None:
    counts = {"strangers_1h": 3, "strangers_24h": 30, "strangers_7d": 31, "linked_24h": 4, "replied_24h": 2}
    story = told("mass_add", counts=counts, strangers=33.0, linked=4.5)
    assert story.explanation == (
        "Adult account contacted 30 strangers in 24 hours (4 of them know others of them and 2 contacts were "
        "answered); 28 of late count, 2 are usual."
    )
    assert story.length == DAY
    assert (story.features["outreach_24h"], story.features["outreach_7d"]) == (24, 31)


def test_minor_targeting_says_how_many_minors_and_how_many_were_expected() -> None:
    counts = {"minors_24h": 2, "minors_7d": 9, "strangers_24h": 3, "strangers_7d": 12}
    story = told("minor_targeting", counts=counts, minors=10.0, aged=12.0)
    assert story.explanation == (
        "Adult account contacted 9 minors with no mutual friend in 7 days; 3 were expected of 12 stranger contacts."
    )
    slow = told("minor_targeting", counts=counts, cusum=(25, 40, 7.5, 24 * DAY))
    assert slow.explanation == (
        "Adult account contacted 25 minors with no mutual friend in 24 days; 10 were expected of 40 stranger contacts."
    )
    assert (slow.features["minors_accumulated"], slow.features["cusum"], slow.length) == (25, 7.5, 24 * DAY)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        (
            "rejected_outreach",
            {"refused": 7.0, "welcome": 1.0, "refused_minors": 4.0, "welcome_minors": 0.0},
            "Adult account was refused or left without an answer in 11 of 12 contacts of late, 4 of 4 by minors; 25 % "
            "of adults and 25 % of minors usually do so.",
        ),
        (
            "rejected_outreach",
            {"refused": 7.0, "welcome": 1.0},
            "Adult account was refused or left without an answer in 7 of 8 contacts of late; 25 % of adults and 25 % "
            "of minors usually do so.",
        ),
        (
            "cold_messaging",
            {"cold": 18.0, "cold_answered": 2.0},
            "Adult account wrote to 20 strangers of late, of whom 18 did not answer; 25 % usually do not.",
        ),
        (
            "scattered_targets",
            {"first": 20.0, "strangers": 16.0, "linked": 1.0},
            "Adult account contacted 20 people of late, 16 of them strangers and 15 of these with no friend among its "
            "other targets; usual are 25 % and 25 %.",
        ),
        (
            "reported_by_minors",
            {"blocked": 4.0, "blocked_minors": 3.0, "first": 16.0},
            "Adult account was blocked or reported by 4 people of late whom it had contacted, 3 of them minors; 5 were "
            "expected.",
        ),
        (
            "grooming_progression",
            {
                "first": 12.0,
                "first_minors": 4.0,
                "luring": 1.0,
                "luring_minors": 3.0,
                "severe_minors": 2.0,
                "deep": 1.0,
            },
            "Adult account showed signs of luring in 4, severe signs in 2 and three kinds of signs in 1 of 12 contacts "
            "of late, 4 of them minors much younger, where 3, 3 and 3 were expected; the pair of this event showed "
            "secrecy and image request.",
        ),
        (
            "association",
            {"strangers": 12.0, "suspects": 6.0},
            "Adult account contacted 12 strangers of late, 6 of whom other accounts under suspicion had reached for in "
            "the week before; 3 were expected.",
        ),
        (
            "age_impostor",
            {"aged": 12.0, "far": 9.0},
            "Adult account contacted 12 strangers of known age of late, 9 of them outside its own age group; 25 % are "
            "usual.",
        ),
    ],
)
def test_each_says_what_was_counted_beside_what_is_usual(name: str, known: dict[str, float], said: str) -> None:
    signs = Sign.SECRECY | Sign.IMAGE_REQUEST if name == "grooming_progression" else 0
    assert told(name, signs=int(signs), **known).explanation == said


def test_lockstep_says_how_many_targets_are_shared_and_with_whom() -> None:
    assert told("lockstep", shared=7, sharers=1, strangers=12.0).explanation == (
        "Adult account shares 7 of its targets with one other account; 4 are usual among 12 strangers."
    )
    assert told("lockstep", shared=7, sharers=5, strangers=12.0).explanation == (
        "Adult account shares 7 of its targets with one other account, and at least 3 with each of 5 accounts; 4 are "
        "usual among 12 strangers."
    )


def test_every_detector_has_its_sentence_tested_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f'told("{name}"' not in text and f'            "{name}",' not in text] == []


# the counterfactual


def setting(case: Case, f: int, count: float) -> tuple[NDArray[np.float32], Any, Any]:
    """Return sums, row and sequential test in which the count of family `f` is another, among as many as before."""
    v, row, cusum = case.sums.astype(np.float64), case.row.copy(), np.array([case.cusum], SUM)
    name = FAMILIES[f].name
    swaps = {
        "refused": (Sum.REFUSED, Sum.WELCOME),
        "refused_by_minors": (Sum.REFUSED_MINORS, Sum.WELCOME_MINORS),
        "unanswered": (Sum.COLD, Sum.COLD_ANSWERED),
        "blocked": (Sum.BLOCKED, Sum.FIRST),
    }
    alone = {
        "strangers": Sum.STRANGERS,
        "minors": Sum.MINORS,
        "age_gap": Sum.GAP,
        "suspects": Sum.SUSPECTS,
        "not_peers": Sum.FAR,
        **{kind: getattr(Sum, kind.upper()) for kind in ("luring", "severe", "deep")},
        **{f"{kind}_minors": getattr(Sum, f"{kind.upper()}_MINORS") for kind in ("luring", "severe", "deep")},
    }
    if name in ("scattered", "volume"):
        v[Sum.LINKED] = v[Sum.STRANGERS] - count
    elif name in swaps:
        one, other = swaps[name]
        v[other] += v[one] - count
        v[one] = count
    elif name == "shared":
        v[Sum.SHARED] = round(count) - 1
    elif name == "minor_sum":
        # those who count half first: whichever the account had left alone, the sentence must hold
        fewer, linked = int(case.cusum["minors"]) - round(count), int(case.cusum["linked"])
        cusum["value"] = max(0.0, float(case.cusum["value"]) - (fewer - 0.5 * min(fewer, linked)) * STEP)
    else:
        v[alone[name]] = count
    return v, row, cusum


def total_with(judge: Judge, case: Case, f: int, count: float) -> float:
    """Return the sum of evidence if the count of family `f` were another, all else equal."""
    v, row, cusum = setting(case, f, count)
    table = np.array([row], FEATURES)
    found, _ = weighed(judge.params, v[None, :], case.cohort, table, cusum)
    return float(case.nats.sum() - case.nats[f] + found[0, f])


def random_case(judge: Judge, seed: int, f: int) -> Case:
    """A case in which family `f` says much, and others something for or against."""
    rng = np.random.Generator(np.random.PCG64(seed))
    cohort = 4 + int(rng.integers(4)) if FAMILIES[f].groups == "minors" else int(rng.choice([0, 3, 8, 13, 15]))
    v = any_sums(rng, 1).astype(np.float64)[0] + 0.5
    v[Sum.FIRST] += v[Sum.STRANGERS] + v[Sum.FIRST_MINORS]
    v[Sum.STRANGERS] += v[Sum.AGED] + v[Sum.LINKED] + v[Sum.SUSPECTS]
    cusum = np.zeros(1, SUM)
    cusum["minors"] = rng.integers(1, 30)
    cusum["linked"] = rng.integers(0, cusum["minors"] + 1)
    cusum["value"] = rng.uniform(0.0, STEP * (cusum["minors"] - 0.5 * cusum["linked"]))
    cusum["strangers"] = 2 * cusum["minors"]
    v[Sum.SHARED] = np.floor(v[Sum.SHARED])
    row = rows(1)[0]
    case = Case(row, cohort, v.astype(np.float32), cusum[0], np.zeros(len(FAMILIES)), judge.reference)
    # all of the kind, or nearly: a family that leads
    whole = {"volume": v[Sum.STRANGERS], "minor_sum": int(cusum["minors"][0]), "shared": int(v[Sum.STRANGERS]) + 1}
    n = case.share(FAMILIES[f].name)[1] if f < len(SHARES) else 0.0
    least = 1.0 if FAMILIES[f].name == "shared" else 0.0
    v2, row, test = setting(case, f, least + rng.uniform(0.6, 1.0) * (whole.get(FAMILIES[f].name, n) - least))
    found, _ = weighed(judge.params, v2[None, :], cohort, np.array([row], FEATURES), test)
    return dataclasses.replace(case, row=row, sums=v2.astype(np.float32), cusum=test[0], nats=found[0])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), surplus=st.floats(0.02, 9.0))
@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_the_counterfactual_is_true(family: str, seed: int, surplus: float) -> None:
    """Just below the count that it names the sum is below the line, and just above it is not; or no count would do."""
    judge = taught(seed % 11)
    f = [one.name for one in FAMILIES].index(family)
    case = random_case(judge, seed, f)
    nats = float(case.nats.sum())
    line = nats - surplus
    group = case.cohort // 4
    judge.experience.scale[:] = 1.0
    judge.experience.at[group] = line - (float(judge.lines[0]) - judge.experience.share)
    assert judge.line(group) == pytest.approx(line)
    why = account_for(case, FAMILIES[f].detector, nats, judge, POLICY, 0)
    named = {key.removeprefix("below_"): v for key, v in why.thresholds.items() if key.startswith("below_")}
    own = family_numbers(FAMILIES[f].detector)
    if not named:
        together = float(case.nats[own].sum())
        assert ("without these" in why.counterfactual) == (nats - together < line)
        for g in own:
            least = {"shared": 1.0, "minor_sum": 0.0}.get(FAMILIES[g].name, 0.01)
            assert total_with(judge, case, g, least) >= line - 1e-3
        return
    ((name, count),) = named.items()
    g = [one.name for one in FAMILIES].index(name)
    assert g in own
    assert f"{NOUNS[name]}{'' if name == 'minor_sum' else ' of late'}, all else equal." in why.counterfactual
    said = float(re.search(r"below ([\d.]+) ", why.counterfactual)[1])
    assert said <= count + 5e-4
    assert count - said <= (1.0 if count >= 10 else 0.101)
    if name in ("minor_sum", "shared"):  # there are no halves of these
        assert total_with(judge, case, g, math.ceil(count) - 1) < line + 1e-3
        assert total_with(judge, case, g, math.ceil(count)) >= line - 1e-3
    else:
        assert total_with(judge, case, g, count - 0.002) < line + 1e-3
        assert total_with(judge, case, g, count + 0.002) >= line - 1e-3


def test_the_test_of_the_counterfactual_meets_every_answer() -> None:
    """A count is named, for every family; or it takes all that the detector says; or nothing would do."""
    met = set()
    judge = taught(1)
    for seed, surplus in itertools.product(range(30), (0.1, 1.0, 6.0)):
        for f, family in enumerate(FAMILIES):
            case = random_case(judge, seed, f)
            nats = float(case.nats.sum())
            judge.experience.scale[:] = 1.0
            judge.experience.at[:] = nats - surplus - (float(judge.lines[0]) - judge.experience.share)
            said = account_for(case, family.detector, nats, judge, POLICY, 0).counterfactual
            met.add((family.name, re.match(r"Would (not )?have been raised (below|without)", said)[0]))
    assert {what for _, what in met} == {
        "Would not have been raised below",
        "Would not have been raised without",
        "Would have been raised without",
    }
    assert {name for name, what in met if what.endswith("below")} == {family.name for family in FAMILIES}


def test_what_others_said_is_told_the_strongest_first_and_favour_apart() -> None:
    judge = Judge(POLICY, ANSWER_TIME)
    nats = np.zeros(len(FAMILIES))
    numbers = {family.name: i for i, family in enumerate(FAMILIES)}
    for name, value in {"refused": 5.25, "minors": 6.0, "strangers": 0.2, "volume": -1.5, "unanswered": -4.0}.items():
        nats[numbers[name]] = value
    case = Case(rows(1)[0], 15, np.zeros(Sum.SIZE, np.float32), np.zeros(1, SUM)[0], nats, judge.reference)
    why = account_for(case, "minor_targeting", 6.15, judge, POLICY, MINOR_LIMIT + 1)
    assert why.contributions == (
        " Evidence, in nats: minors among the strangers (+6.0) and refusals (+5.2); in its favour, unanswered messages "
        "to strangers (−4.0) and strangers contacted (−1.5)."
    )
    assert why.features == {
        "nats": 6.15,
        "nats_minor_targeting": 6.0,
        "nats_rejected_outreach": 5.25,
        "nats_scattered_targets": 0.2,
        "nats_mass_add": -1.5,
        "nats_cold_messaging": -4.0,
    }
    assert why.thresholds["limit_minors_24h"] == POLICY.detectors.minor_targeting.limits.day
    assert why.thresholds["p_value"] == POLICY.severities.low
