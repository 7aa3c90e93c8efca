"""A browser without script: signs in, follows forms, and keeps cookies."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select
from starlette.testclient import TestClient

from console.people import add_user, digest, start_session
from console.service import Service
from console.tables import sessions
from console.web.app import make_app
from console.web.visit import cookie_name
from tests.console.build import PASSWORD

CSRF = re.compile(r'name="csrf" value="([^"]+)"')
HOST = "http://testserver"


class Visitor:
    """Somebody at the pages."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = TestClient(make_app(service), base_url=HOST, follow_redirects=False)
        self.csrf = ""

    def sign_in(self, login: str, password: str = PASSWORD) -> Any:
        answer = self.client.post("/sign-in", data={"login": login, "password": password})
        if answer.status_code == 303:
            self.csrf = CSRF.findall(self.get("/me").text)[0]
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, **fields: Any) -> Any:
        return self.client.post(path, data={"csrf": self.csrf} | fields)


def visitor(service: Service, login: str, role: str) -> Visitor:
    """Add somebody, and begin a session for them: a password takes a tenth of a second to check, as it should."""
    made = Visitor(service)
    with service.database.writing() as connection:
        number = add_user(connection, login, login.capitalize(), role, None, now=service.clock())
        value = start_session(connection, number, service.clock())
        made.csrf = connection.execute(select(sessions.c.csrf).where(sessions.c.id == digest(value))).scalar_one()
    made.client.cookies.set(cookie_name(service), value)
    return made
