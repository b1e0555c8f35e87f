"""Authlib's OAuth2Session. It knows no tls_client_auth by name: "none" puts the client_id into the form and leaves the
rest to the connection, which is what RFC 8705 §2 asks for."""

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from report import API, DEADLINE, METADATA, ROOT, Report, answer_of, certificate_of


def main():
    report = Report("Authlib")
    partner, other = session_of("example"), session_of("other")
    token_endpoint = partner.get(METADATA, withhold_token=True).json()["mtls_endpoint_aliases"]["token_endpoint"]

    report.accepted("gets a token", "Bearer", ask_for_token(partner, token_endpoint))
    report.accepted("calls the API", "200", answer_of(partner.post(API)))
    report.refused(
        "a token for its client_id, another partner's certificate",
        "invalid_client",
        ask_for_token(other, token_endpoint),
    )
    other.token = partner.token
    report.refused("the same token, another partner's certificate", "401 invalid_token", answer_of(other.post(API)))


def session_of(partner):
    session = OAuth2Session(
        "partner-client", token_endpoint_auth_method="none", scope="transactions", default_timeout=DEADLINE
    )
    session.verify = ROOT
    session.cert = certificate_of(partner)
    return session


def ask_for_token(session, token_endpoint):
    """The type of the token, or the error."""
    try:
        return session.fetch_token(token_endpoint, grant_type="client_credentials")["token_type"]
    except OAuthError as refusal:
        return refusal.error


main()
