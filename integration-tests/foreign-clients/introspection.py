"""Somebody else's gateway: it introspects with a client secret, verifies JWTs with PyJWT, and judges the binding itself."""

import base64
import hashlib
import json
import ssl
from pathlib import Path

import jwt
import requests

from report import DEADLINE, ISSUER, METADATA, ROOT, Report, answer_of, certificate_of

GATEWAY = ("introspect-client", "Password1")
AUDIENCE = "api.example.com"


def main():
    report = Report("a gateway, PyJWT")
    http = requests.Session()
    http.verify = ROOT
    metadata = http.get(METADATA, timeout=DEADLINE).json()
    token = token_of_partner(http, metadata)

    def introspect(token, credentials=GATEWAY, accept="application/json"):
        return http.post(
            metadata["introspection_endpoint"],
            auth=credentials,
            headers={"Accept": accept},
            data={"token": token},
            timeout=DEADLINE,
        )

    claims = introspect(token).json()
    report.accepted("JSON, the token", True, claims["active"])
    report.accepted("JSON, cnf is the partner's certificate", thumbprint_of("example"), claims["cnf"]["x5t#S256"])
    report.refused("JSON, cnf is another partner's certificate", False, claims["cnf"]["x5t#S256"] == thumbprint_of("other"))
    report.refused("JSON, a token that nobody issued", {"active": False}, introspect("nobody-issued-this").json())
    report.refused(
        "JSON, a wrong secret", "401 invalid_client", answer_of(introspect(token, (GATEWAY[0], "Password2")))
    )

    answer = introspect(token, accept="application/jwt")
    verify = verifier(metadata)
    report.accepted("JWT, the token", "application/jwt", answer.headers["Content-Type"])
    report.accepted("JWT, verified, cnf is the partner's certificate", thumbprint_of("example"), verify(answer.text))
    report.refused("JWT, cnf replaced", "InvalidSignatureError", verify(with_thumbprint(answer.text, thumbprint_of("other"))))
    report.refused("JWT, for another audience", "InvalidAudienceError", verify(answer.text, "other.example.com"))
    nothing = introspect("nobody-issued-this", accept="application/jwt")
    report.refused("JWT, a token that nobody issued", (204, b""), (nothing.status_code, nothing.content))


def token_of_partner(http, metadata):
    answer = http.post(
        metadata["mtls_endpoint_aliases"]["token_endpoint"],
        cert=certificate_of("example"),
        data={"grant_type": "client_credentials", "client_id": "partner-client"},
        timeout=DEADLINE,
    )
    return answer.json()["access_token"]


def thumbprint_of(partner):
    der = ssl.PEM_cert_to_DER_cert(Path(certificate_of(partner)[0]).read_text())
    return base64_url(hashlib.sha256(der).digest())


def verifier(metadata):
    """A function from a JWT to the thumbprint in it, or to the name of what is wrong with it."""
    tls = ssl.create_default_context(cafile=ROOT)
    tls.verify_flags |= ssl.VERIFY_X509_STRICT  # The default from Python 3.13 on.
    keys = jwt.PyJWKClient(metadata["jwks_uri"], ssl_context=tls, timeout=DEADLINE)

    def verify(token, audience=AUDIENCE):
        try:
            claims = jwt.decode(
                token,
                keys.get_signing_key_from_jwt(token),
                algorithms=metadata["introspection_signing_alg_values_supported"],
                audience=audience,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "client_id", "jti", "cnf"]},
            )
            return claims["cnf"]["x5t#S256"]
        except jwt.InvalidTokenError as refusal:
            return type(refusal).__name__

    return verify


def with_thumbprint(token, thumbprint):
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["cnf"] = {"x5t#S256": thumbprint}
    return ".".join((header, base64_url(json.dumps(claims).encode()), signature))


def base64_url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


main()
