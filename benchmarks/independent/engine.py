"""The platform: clock, log, friendships, requests, messages; the same rules for everybody."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.independent import choices, signs
from benchmarks.independent.people import AgePolicy, Person, band, birth_date, draw_person
from benchmarks.independent.rhythm import DAY, HOUR, MINUTE, START

Event = tuple[int, int, str, int, int, dict[str, Any] | None]


class Engine:
    """State and rules that all worlds share."""

    climate = choices.Climate(accept=0.0, reply=0.0, decline=0.3, block=0.04, report=0.25, alarm=1.5)
    ages = AgePolicy(unknown=0.2, birth_date=0.5, inline=0.0, child_lies=0.5, teen_lies=0.1, adult_lies=0.02)
    knows_mutual = 1.0
    mutual_on_message = 0.0
    greets = 0.3

    def __init__(self, key: str, accounts: int, days: int) -> None:
        self.rng = random.Random(key)
        self.numbers = np.random.default_rng(self.rng.getrandbits(60))
        self.accounts = accounts
        self.days = days
        self.end = START + days * DAY
        self.now = START
        self.people: list[Person] = []
        self.log: list[Event] = []
        self._queue: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._turn = 0
        names = self.rng.sample(range(16**7), accounts)
        self._names = [f"a{name:07x}" for name in names]

    def add_person(self, age: float) -> Person:
        """Draw one more account."""
        index = len(self.people)
        person = draw_person(self.rng, index, self._names[index], age, self.ages)
        self.people.append(person)
        return person

    def at(self, when: int, action: Callable[..., object], *details: Any) -> None:
        """Put something on the calendar."""
        if when < self.end:
            self._turn += 1
            heapq.heappush(self._queue, (when, self._turn, action, details))

    def run_until(self, when: int) -> None:
        """Do everything on the calendar before a moment."""
        queue = self._queue
        while queue and queue[0][0] < when:
            self.now, _, action, details = heapq.heappop(queue)
            action(*details)

    def emit(self, when: int, kind: str, actor: int, target: int = -1, more: dict[str, Any] | None = None) -> None:
        """Write an event to the log."""
        if when < self.end:
            self._turn += 1
            self.log.append((when, self._turn, kind, actor, target, more))

    def facts(self, person: Person, when: int, *, first: bool = True) -> None:
        """Write what the platform knows of an account."""
        more: dict[str, Any] = {"created_at": person.created} if first else {}
        if person.shown is not None and (person.fact != "inline" or not first):
            if person.fact == "birth_date":
                more["birth_date"] = birth_date(person.shown)
            else:
                more["age_band"] = band(person.shown)
            more["age_source"] = person.source
        elif person.shown is None and self.rng.random() < 0.3:
            more["age_band"] = "unknown"
        if person.roles:
            more["roles"] = list(person.roles)
        self.emit(when, "account.updated", person.index, -1, more)

    def link(self, one: int, two: int) -> None:
        """Make two accounts friends, without an event."""
        a, b = self.people[one], self.people[two]
        if two not in a.friends and one != two:
            a.friends.add(two)
            b.friends.add(one)
            a.close.append(two)
            b.close.append(one)

    def befriend(self, one: int, two: int, when: int) -> None:
        """Make two accounts friends without a request."""
        if two not in self.people[one].friends and one != two:
            self.link(one, two)
            self.emit(when, "friendship.created", one, two)

    def part(self, one: int, two: int, when: int, *, say: bool = True) -> None:
        """End a friendship."""
        a, b = self.people[one], self.people[two]
        if two in a.friends:
            a.friends.discard(two)
            b.friends.discard(one)
            a.close.remove(two)
            b.close.remove(one)
            if say:
                self.emit(when, "friendship.removed", one, two)

    def block(self, one: int, two: int, when: int, *, report: bool = False, block: bool = True) -> None:
        """Let one account block or report another."""
        person = self.people[one]
        if report:
            reason = self.rng.choice(("spam", "harassment", "inappropriate", "other"))
            self.emit(when, "account.reported", one, two, {"reason": reason})
        if block and two not in person.blocked:
            person.blocked.add(two)
            self.emit(when + self.rng.randint(500, 9000), "account.blocked", one, two)
            self.part(one, two, when, say=False)

    def leave(self, index: int, when: int) -> None:
        """Delete an account."""
        person = self.people[index]
        if person.alive:
            person.alive = False
            self.emit(when, "account.deleted", index)
            for other in tuple(person.close):
                self.part(index, other, when, say=False)

    def warmth(self, person: Person, other: Person) -> float:
        """Return how well a person knows another from elsewhere."""
        return 2.2 if person.groups & other.groups else 0.0

    def mutual(self, one: int, two: int) -> int:
        """Count common friends."""
        return len(self.people[one].friends & self.people[two].friends)

    def can_reach(self, one: int, two: int) -> bool:
        """Tell whether an account can approach another."""
        a, b = self.people[one], self.people[two]
        return (
            one != two and a.alive and b.alive and b.joins <= self.now and one not in b.blocked and two not in a.blocked
        )

    def request(self, one: int, two: int, when: int) -> bool:
        """Send a friend request; the answer comes later, or never."""
        a, b = self.people[one], self.people[two]
        if two in a.friends or two in a.asked or one in b.asked or not self.can_reach(one, two):
            return False
        mutual = self.mutual(one, two)
        a.asked[two] = when
        more = {"mutual_friends": mutual} if self.rng.random() < self.knows_mutual else None
        self.emit(when, "friend_request.sent", one, two, more)
        self.at(choices.delay(self.rng, b, when), self._answer, one, two)
        if self.rng.random() < 0.03:
            self.at(when + int(self.rng.expovariate(1 / 40) * HOUR), self._cancel, one, two)
        return True

    def _cancel(self, one: int, two: int) -> None:
        if self.people[one].asked.get(two, 0) > 0 and two not in self.people[one].friends:
            self.people[one].asked[two] = -1
            self.emit(self.now, "friend_request.cancelled", one, two)

    def _answer(self, one: int, two: int) -> None:
        a, b = self.people[one], self.people[two]
        if a.asked.get(two, 0) <= 0 or two in a.friends or not self.can_reach(one, two):
            return
        when = self.now
        value = choices.openness(b, a, self.mutual(one, two), self.warmth(b, a), when)
        verdict = choices.on_request(self.rng, self.climate, b, a, value)
        if verdict == "accept":
            a.asked[two] = -1
            self.emit(when, "friend_request.accepted", two, one)
            self.link(one, two)
            if self.rng.random() < self.greets:
                starter, other = (one, two) if self.rng.random() < 0.7 else (two, one)
                self.at(when + int(self.rng.expovariate(1 / 90) * MINUTE), self.talk, starter, other)
        elif verdict == "decline":
            a.asked[two] = -1
            self.emit(when, "friend_request.declined", two, one)
        elif verdict in ("block", "report"):
            self.block(two, one, when, report=verdict == "report")

    def tone(self, one: int, two: int) -> str:
        """Return the ordinary tone of one account's talk with another."""
        a = self.people[one]
        if a.partner == two:
            return "love"
        return "banter" if a.age < 19 else "chat"

    def nearness(self, person: Person, other: Person) -> float:
        """Return how near a person feels to another, from 0 (a stranger) to 1."""
        if person.partner == other.index:
            return 0.97
        near = 0.2 if other.index in person.friends else 0.0
        if person.groups & other.groups:
            near += 0.4
        return min(0.92, near + 0.5 * min(1.0, person.trust.get(other.index, 0.0)))

    def write(self, one: int, two: int, when: int, tone: str, room: str | None = None) -> str | None:
        """Send one message and return the sign it truly holds."""
        a = self.people[one]
        if self.rng.random() > 0.8 * a.bold:
            tone = "chat"
        true = signs.content(self.rng, tone)
        heard = signs.observed(self.rng, true, a.noise)
        more: dict[str, Any] = {"conversation_id": room or f"c{min(one, two)}.{max(one, two)}"}
        if heard:
            more["signs"] = heard
        if self.mutual_on_message and two not in a.friends and self.rng.random() < self.mutual_on_message:
            more["mutual_friends"] = self.mutual(one, two)
        self.emit(when, "message.sent", one, two, more)
        return true

    def approach(self, one: int, two: int, when: int, tone: str) -> None:
        """Write to somebody who is no friend: mostly in vain."""
        a, b = self.people[one], self.people[two]
        if two in a.friends or two in a.answered:
            self.talk(one, two, tone)
            return
        if not self.can_reach(one, two):
            return
        true = self.write(one, two, when, tone)
        if true:
            b.alarm[one] = b.alarm.get(one, 0.0) + choices.worry(b, a, true, 0.0)
        if self.rng.random() < 0.25:
            self.write(one, two, when + self.rng.randint(3_000, 90_000), tone)
        if one not in b.muted:
            self.at(choices.delay(self.rng, b, when), self._first_reply, one, two, tone)

    def _first_reply(self, one: int, two: int, tone: str) -> None:
        a, b = self.people[one], self.people[two]
        if not self.can_reach(one, two):
            return
        value = choices.openness(b, a, self.mutual(one, two), self.warmth(b, a), self.now)
        verdict = choices.on_message(self.rng, self.climate, b, a, value)
        if verdict == "reply":
            a.answered.add(two)
            b.answered.add(one)
            self.write(two, one, self.now, self.tone(two, one))
            if self.rng.random() < 0.6:
                self.at(self.now + int(self.rng.expovariate(1 / 20) * MINUTE), self.talk, one, two, tone)
        elif verdict in ("block", "report"):
            self.block(two, one, self.now, report=verdict == "report")
        elif self.rng.random() < 0.5:
            b.muted.add(one)

    def talk(self, one: int, two: int, tone: str | None = None, answer: str | None = None) -> bool:
        """Let two accounts that know each other talk; tell whether the other answered."""
        a, b = self.people[one], self.people[two]
        if not self.can_reach(one, two):
            return False
        when, rng = self.now, self.rng
        tones = {one: tone or self.tone(one, two), two: answer or self.tone(two, one)}
        if one in b.muted or rng.random() < 0.14:
            self.write(one, two, when, tones[one])
            return False
        left = 1 + int(rng.expovariate(1.0) * 2.6 * a.chatty**0.5 * b.chatty**0.5)
        speaker, other, spoken = one, two, False
        pace = rng.uniform(0.3, 4.0)
        for _ in range(min(left, 40)):
            true = self.write(speaker, other, when, tones[speaker])
            spoken = spoken or speaker == two
            if true and self._upset(other, speaker, true, when):
                break
            when += int(rng.expovariate(1 / pace) * MINUTE) + 1500
            if rng.random() < 0.68:
                speaker, other = other, speaker
        if spoken:
            for this, that in ((a, two), (b, one)):
                this.trust[that] = min(1.5, this.trust.get(that, 0.0) + 0.09)
        return spoken

    def _upset(self, reader: int, writer: int, true: str, when: int) -> bool:
        """Let a reader react to a sign; tell whether the talk ends there."""
        person, other = self.people[reader], self.people[writer]
        near = self.nearness(person, other)
        worry = person.alarm.get(writer, 0.0) + choices.worry(person, other, true, near)
        person.alarm[writer] = worry
        limit = self.climate.alarm * (0.5 + self.rng.expovariate(1.0)) * (1 + near)
        if worry < limit:
            return False
        deed = choices.on_alarm(self.rng, self.climate, person)
        person.alarm[writer] = worry * 0.5
        later = when + int(self.rng.expovariate(1 / 50) * MINUTE)
        if deed in ("report", "block"):
            self.block(reader, writer, later, report=deed == "report", block=deed == "block" or self.rng.random() < 0.6)
        elif deed == "leave":
            self.part(reader, writer, later)
        if deed != "leave" or self.rng.random() < 0.5:
            person.muted.add(writer)
        return True
