"""What a Python client says of itself: one line per outcome, and the end at the first that is wrong."""

import re
import sys

ISSUER = "https://login.example.com/oauth/v2/oauth-anonymous"
METADATA = "https://login.example.com/.well-known/oauth-authorization-server/oauth/v2/oauth-anonymous"
API = "https://api.example.com/api/transactions"
ROOT = "certs/root.pem"
DEADLINE = 20


def certificate_of(partner):
    return f"certs/{partner}.client.pem", f"certs/{partner}.client.key"


def answer_of(response):
    """The status, and after it the error that the answer names, if any."""
    challenge = re.search(r'^Bearer .*error="(\w+)"', response.headers.get("WWW-Authenticate", ""))
    if challenge:
        return f"{response.status_code} {challenge.group(1)}"
    if response.status_code >= 400 and response.headers.get("Content-Type") == "application/json":
        return f"{response.status_code} {response.json().get('error')}"
    return str(response.status_code)


class Report:
    def __init__(self, client):
        self.client = client

    def accepted(self, what, wanted, got):
        self._line("accepted", what, wanted, got)

    def refused(self, what, wanted, got):
        self._line("refused", what, wanted, got)

    def _line(self, verdict, what, wanted, got):
        if got != wanted:
            sys.exit(f"FAILED    {self.client:<17} {what}: expected {wanted}, got {got}")
        print(f"{verdict:<9} {self.client:<17} {what}: {got}", flush=True)
