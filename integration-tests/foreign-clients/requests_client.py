"""Python requests: OAuth by hand, with nothing but an HTTP client."""

import requests

from report import API, DEADLINE, METADATA, ROOT, Report, answer_of, certificate_of


def main():
    report = Report("requests")
    partner, other = session_of("example"), session_of("other")
    token_endpoint = partner.get(METADATA, timeout=DEADLINE).json()["mtls_endpoint_aliases"]["token_endpoint"]

    answer = ask_for_token(partner, token_endpoint)
    report.accepted("gets a token", "200", answer_of(answer))
    token = answer.json()["access_token"]
    report.accepted("calls the API", "200", answer_of(call_api(partner, token)))
    report.refused(
        "the same token, another partner's certificate", "401 invalid_token", answer_of(call_api(other, token))
    )
    report.refused(
        "a token for its client_id, another partner's certificate",
        "401 invalid_client",
        answer_of(ask_for_token(other, token_endpoint)),
    )
    report.refused(
        "a token without a certificate", "401 invalid_client", answer_of(ask_for_token(session_of(None), token_endpoint))
    )


def session_of(partner):
    session = requests.Session()
    session.verify = ROOT
    session.cert = certificate_of(partner) if partner else None
    return session


def ask_for_token(session, token_endpoint):
    form = {"grant_type": "client_credentials", "client_id": "partner-client", "scope": "transactions"}
    return session.post(token_endpoint, data=form, timeout=DEADLINE)


def call_api(session, token):
    return session.post(API, headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE)


main()
