// openid-client 6, as its documentation has it: discovery (RFC 8414), tls_client_auth, the endpoints' mTLS aliases.
import * as openid from 'openid-client'
import { api, fetchAs, issuer, outcomeOf, reportOf } from './report.js'

const report = reportOf('openid-client')

const configurationOf = (partner) =>
  openid.discovery(issuer, 'partner-client', { use_mtls_endpoint_aliases: true }, openid.TlsClientAuth(), {
    algorithm: 'oauth2',
    [openid.customFetch]: fetchAs(partner),
  })
const askForToken = (configuration) => openid.clientCredentialsGrant(configuration, { scope: 'transactions' })
const callApi = (configuration, { access_token }) =>
  outcomeOf(openid.fetchProtectedResource(configuration, access_token, api, 'POST').then(({ status }) => status))

const partner = await configurationOf('example')
const other = await configurationOf('other')
report.accepted('discovers the issuer', issuer.href, partner.serverMetadata().issuer)

const token = await askForToken(partner)
report.accepted('gets a token', 'bearer', token.token_type)
report.accepted('calls the API', 200, await callApi(partner, token))
report.refused("the same token, another partner's certificate", '401 invalid_token', await callApi(other, token))
report.refused(
  "a token for its client_id, another partner's certificate",
  '401 invalid_client',
  await outcomeOf(askForToken(other)),
)

const revoked = await askForToken(partner)
await openid.tokenRevocation(partner, revoked.access_token)
report.refused('a token that it revoked', '401 invalid_token', await callApi(partner, revoked))
