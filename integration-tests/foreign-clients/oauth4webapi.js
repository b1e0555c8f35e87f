// oauth4webapi, step by step: the partner by the mTLS aliases alone, then a gateway's signed introspection (RFC 9701).
import * as oauth from 'oauth4webapi'
import { api, fetchAs, issuer, outcomeOf, reportOf } from './report.js'

const report = reportOf('oauth4webapi')
const by = (fetch) => ({ [oauth.customFetch]: fetch })
const asPartner = by(fetchAs('example'))
const asOther = by(fetchAs('other'))
const asGateway = by(fetchAs())

const discovered = await oauth
  .discoveryRequest(issuer, { algorithm: 'oauth2', ...asGateway })
  .then((answer) => oauth.processDiscoveryResponse(issuer, answer))
report.accepted('discovers the issuer', issuer.href, discovered.issuer)

// Without the plain names of the endpoints, only their aliases can be used.
const { token_endpoint, introspection_endpoint, revocation_endpoint, ...byAliasOnly } = discovered
const partner = { client_id: 'partner-client', use_mtls_endpoint_aliases: true }

async function askForToken(as) {
  const answer = await oauth.clientCredentialsGrantRequest(
    byAliasOnly,
    partner,
    oauth.TlsClientAuth(),
    { scope: 'transactions' },
    as,
  )
  return oauth.processClientCredentialsResponse(byAliasOnly, partner, answer)
}

const callApi = (token, as) =>
  outcomeOf(
    oauth.protectedResourceRequest(token, 'POST', api, undefined, undefined, as).then(({ status }) => status),
  )

const { access_token: token, token_type } = await askForToken(asPartner)
report.accepted('gets a token', 'bearer', token_type)
report.accepted('calls the API', 200, await callApi(token, asPartner))
report.refused("the same token, another partner's certificate", '401 invalid_token', await callApi(token, asOther))
report.refused(
  "a token for its client_id, another partner's certificate",
  '401 invalid_client',
  await outcomeOf(askForToken(asOther)),
)
report.refused('a token without a certificate', '401 invalid_client', await outcomeOf(askForToken(asGateway)))

const gateway = { client_id: 'introspect-client' }

async function introspect(token, secret, requestJwtResponse) {
  const answer = await oauth.introspectionRequest(discovered, gateway, oauth.ClientSecretBasic(secret), token, {
    requestJwtResponse,
    ...asGateway,
  })
  // The answer's audience is the resource server, as RFC 9701 §5 says; the library takes that to be its client_id.
  const audience = { client_id: requestJwtResponse ? 'api.example.com' : gateway.client_id }
  const claims = await oauth.processIntrospectionResponse(discovered, audience, answer)
  if (requestJwtResponse) await oauth.validateApplicationLevelSignature(discovered, answer, asGateway)
  return claims
}

for (const [form, signed] of [['JSON', false], ['signed', true]]) {
  const { active, cnf } = await introspect(token, 'Password1', signed)
  report.accepted(`introspects, ${form}`, true, active && 'x5t#S256' in cnf)
  const unknown = await introspect('nobody-issued-this', 'Password1', signed)
  report.refused(`introspects, ${form}, a token that nobody issued`, '{"active":false}', JSON.stringify(unknown))
}
report.refused(
  'introspects with a wrong secret',
  '401 basic',
  await outcomeOf(introspect(token, 'Password2', false)),
)
