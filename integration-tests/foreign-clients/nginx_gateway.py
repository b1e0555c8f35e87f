"""Through somebody else's gateway, nginx with Lua (gateway.conf, gateway.lua), to our API, with tokens of our authorization
server."""

import requests

from report import DEADLINE, METADATA, ROOT, Report, answer_of, certificate_of

API = "https://api.example.com:9543/api/transactions"


def main():
    report = Report("nginx with Lua")
    partner, other = session_of("example"), session_of("other")
    metadata = partner.get(METADATA, timeout=DEADLINE).json()
    token = token_for(partner, metadata, "partner-client")

    for attempt in ("a token, its certificate", "the same token again"):
        report.accepted(attempt, "200", answer_of(call_api(partner, token)))
        report.refused(f"{attempt}, another partner's certificate", "401 invalid_token", answer_of(call_api(other, token)))
    others = token_for(other, metadata, "other-client")
    report.accepted("another partner's token, its certificate", "200", answer_of(call_api(other, others)))
    report.refused("a token that nobody issued", "401 invalid_token", answer_of(call_api(partner, "nobody-issued-this")))
    report.refused("no token", "401", answer_of(call_api(partner, None)))
    report.refused("no certificate", "400", answer_of(call_api(session_of(None), token)))

    revocation = metadata["mtls_endpoint_aliases"]["revocation_endpoint"]
    partner.post(revocation, data={"token": token, "client_id": "partner-client"}, timeout=DEADLINE).raise_for_status()
    report.refused("a revoked token", "401 invalid_token", answer_of(call_api(partner, token)))


def session_of(partner):
    session = requests.Session()
    session.verify = ROOT
    session.cert = certificate_of(partner) if partner else None
    return session


def token_for(session, metadata, client_id):
    form = {"grant_type": "client_credentials", "client_id": client_id, "scope": "transactions"}
    endpoint = metadata["mtls_endpoint_aliases"]["token_endpoint"]
    return session.post(endpoint, data=form, timeout=DEADLINE).json()["access_token"]


def call_api(session, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return session.post(API, headers=headers, timeout=DEADLINE)


main()
