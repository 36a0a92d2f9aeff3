"""How the HTTP fuzz run logs in: a user for the run, a session for each request.

A session of its own, because some requests end the one they are made with.
"""

import os
import secrets

import requests
import schemathesis

HOST = os.environ["PORTCULLIS_HOST"]
USER = {
    "email": f"fuzz-{secrets.token_hex(8)}@example.com",
    "password": f"gates fall at {secrets.token_hex(8)}",
}


@schemathesis.auth(refresh_interval=None).apply_to(path_regex=r".*")
class Session:
    """An access token of a login just now."""

    def get(self, case, context):
        requests.post(f"{HOST}/v1/register", json=USER, timeout=10)
        # The account endpoints take the account audience alone, which is the issuer.
        login = USER | {"resource": "https://login.example"}
        answer = requests.post(f"{HOST}/v1/login", json=login, timeout=10)
        return answer.json().get("access_token")

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
