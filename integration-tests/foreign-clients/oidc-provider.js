// A foreign authorization server behind our gateway: node-oidc-provider, as its documentation has it. It binds tokens to
// certificates (RFC 8705), and the gateway knows it by RFC 7662 JSON, by RFC 9701, and by the keys of its JWTs, which
// it finds by discovery.
import { spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose'
import Provider from 'oidc-provider'
import { fetchAs, reportOf } from './report.js'

const report = reportOf('oidc-provider')
const gatewayBinary = process.argv[2]

const issuer = 'https://localhost:9443'
const api = 'http://127.0.0.1:9080'
const gateways = { json: 'api.example.com:9444', signed: 'api.example.com:9446' }
// Every character that has a meaning in a form or in Basic credentials.
const secret = 'p:a+b&c=d%2F e'

const privateKeyOf = (type, options) => generateKeyPairSync(type, options).privateKey
const signingKey = privateKeyOf('rsa', { modulusLength: 2048 })
const assertionKey = privateKeyOf('ec', { namedCurve: 'P-256' })
const tlsFiles = { ca: read('root.pem'), cert: read('login.tls.pem'), key: read('login.tls.key') }

function read(file) {
  return readFileSync(`certs/${file}`)
}

/** The gateway's key as the authorization server must know it: by the thumbprint of RFC 7638. */
async function publicJwkOf(key) {
  const { d, ...jwk } = await exportJWK(key)
  return { ...jwk, use: 'sig', alg: 'ES256', kid: await calculateJwkThumbprint(jwk) }
}

async function provider() {
  const nothing = { grant_types: [], redirect_uris: [], response_types: [] }
  const certificateOf = ({ socket }) => socket.getPeerX509Certificate()
  return new Provider(issuer, {
    clients: [
      {
        ...nothing,
        client_id: 'partner-client',
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: 'CN=demo-partner',
        tls_client_certificate_bound_access_tokens: true,
      },
      { ...nothing, client_id: 'gateway', token_endpoint_auth_method: 'client_secret_basic', client_secret: secret },
      {
        ...nothing,
        client_id: 'signed-gateway',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        introspection_signed_response_alg: 'RS256',
        jwks: { keys: [await publicJwkOf(assertionKey)] },
      },
    ],
    clientAuthMethods: ['tls_client_auth', 'client_secret_basic', 'private_key_jwt'],
    cookies: { keys: ['unused'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId !== 'partner-client' },
      jwtIntrospection: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: certificateOf,
        certificateAuthorized: ({ socket }) => socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_subject_dn' && certificateOf(ctx).subject === expected,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'transactions',
          audience: resource.includes('other') ? 'other.example.com' : 'api.example.com',
          accessTokenFormat: resource.includes('jwt') ? 'jwt' : 'opaque',
        }),
      },
      revocation: { enabled: true },
    },
    jwks: { keys: [{ ...(await exportJWK(signingKey)), kid: 'rsa', use: 'sig' }] },
    scopes: ['transactions'],
    ttl: { ClientCredentials: 600 },
  })
}

async function listen(server, port) {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** An API that answers with the header fields it got. */
const echo = (request, response) => response.end(JSON.stringify(request.headers))

function gatewayConfiguration(public_port, introspection, issuerKeys) {
  return `
    [listen]
    public = "127.0.0.1:${public_port}"
    admin = "127.0.0.1:${public_port + 1}"
    [tls]
    certificate = "certs/api.tls.pem"
    key = "certs/api.tls.key"
    [client_certificates]
    trust = ["certs/root.pem"]
    crl = ["certs/root.crl.pem"]
    [introspection]
    endpoint = "${issuer}/token/introspection"
    ${introspection}
    [[issuers]]
    issuer = "${issuer}"
    ${issuerKeys}
    ${['opaque', 'jwt'].map((kind) => `
    [[routes]]
    host = "api.example.com"
    path = "/${kind}"
    upstream = ["${api}"]
    audience = "api.example.com"
    scope = "transactions"
    tokens = ["${kind}"]`).join('')}
    [outbound_tls]
    trust = ["certs/root.pem"]
    certificate = "certs/gateway.client.pem"
    key = "certs/gateway.client.key"`
}

const logOf = (name) => `gateway-${name}.log`

async function startGateway(name, port, introspection, issuerKeys = '') {
  writeFileSync(`gateway-${name}.toml`, gatewayConfiguration(port, introspection, issuerKeys))
  const log = openSync(logOf(name), 'w')
  const gateway = spawn(gatewayBinary, ['--config', `gateway-${name}.toml`], { stdio: ['ignore', log, log] })
  const deadline = Date.now() + 30_000
  for (;;) {
    if (gateway.exitCode !== null || Date.now() > deadline) throw new Error(`the gateway ${name} does not start`)
    const ready = await fetch(`http://127.0.0.1:${port + 1}/readyz`).catch(() => ({ ok: false }))
    if (ready.ok) return gateway
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function post(partner, path, parameters) {
  const body = new URLSearchParams({ client_id: 'partner-client', ...parameters })
  return fetchAs(partner)(`${issuer}${path}`, { method: 'POST', body })
}

async function askForToken(resource) {
  const answer = await post('example', '/token', { grant_type: 'client_credentials', scope: 'transactions', resource })
  const { access_token } = await answer.json()
  if (!access_token) throw new Error(`no token: ${answer.status}`)
  return access_token
}

/** A JWT as servers write it that do not follow RFC 9068: of typ JWT, with the client in azp. */
async function plainJwt(partner) {
  const { raw } = new X509Certificate(read(`${partner}.client.pem`))
  const cnf = { 'x5t#S256': createHash('sha256').update(raw).digest('base64url') }
  return new SignJWT({ azp: 'partner-client', scope: 'transactions', cnf })
    .setProtectedHeader({ alg: 'RS256', kid: 'rsa', typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience('api.example.com')
    .setExpirationTime('5m')
    .sign(signingKey)
}

/** What came of a call: the status, and of a refusal the error. */
async function call(gateway, path, partner, token) {
  const headers = { authorization: `Bearer ${token}`, 'token-introspection-client-id': 'nobody' }
  const answer = await fetchAs(partner)(`https://${gateway}${path}`, { headers })
  const body = await answer.json()
  return answer.ok ? { outcome: answer.status, fields: body } : { outcome: `${answer.status} ${body.error}` }
}

const outcome = async (...request) => (await call(...request)).outcome

async function main(children) {
  const options = { ...tlsFiles, requestCert: true, rejectUnauthorized: false }
  const authorizationServer = await listen(createHttpsServer(options, (await provider()).callback()), 9443)
  await listen(createHttpServer(echo), 9080)

  writeFileSync('secret', `${secret}\n`, { mode: 0o600 })
  writeFileSync('assertion.key', assertionKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  children.push(
    await startGateway('json', 9444, `
    representation = "json"
    endpoint_auth_method = "client_secret_basic"
    client_secret_file = "secret"`),
    await startGateway('signed', 9446, `
    representation = "introspection-jwt"
    client_id = "signed-gateway"
    endpoint_auth_method = "private_key_jwt"
    client_assertion_key = "assertion.key"`, 'accept_plain_jwt = true'),
  )

  const token = await askForToken('https://api.example.com')
  for (const [name, gateway] of Object.entries(gateways)) {
    const said = await call(gateway, '/opaque', 'example', token)
    report.accepted(`${name}: its holder calls the API`, 200, said.outcome)
    const { authorization = 'nothing', ...fields } = said.fields
    report.accepted(`${name}: what the API gets in Authorization`, 'nothing', authorization)
    report.accepted(`${name}: the API gets the token itself`, false, JSON.stringify(fields).includes(token))
    if (name === 'json') {
      report.accepted('json: the client that the API is told', 'partner-client', fields['token-introspection-client-id'])
      report.accepted('json: the scope that it is told', 'transactions', fields['token-introspection-scope'])
    } else {
      const [header] = fields['token-introspection'].split('.')
      const { typ } = JSON.parse(Buffer.from(header, 'base64url'))
      report.accepted('signed: what the API gets instead', 'token-introspection+jwt', typ)
    }
    report.refused(
      `${name}: the same token, another certificate`,
      '401 invalid_token',
      await outcome(gateway, '/opaque', 'other', token),
    )
    report.refused(
      `${name}: a token that nobody issued`,
      '401 invalid_token',
      await outcome(gateway, '/opaque', 'example', 'nobody-issued-this'),
    )
  }

  const foreign = await askForToken('https://other.example.com')
  const refused = await outcome(gateways.json, '/opaque', 'example', foreign)
  report.refused('json: a token for another API', '401 invalid_token', refused)

  const jwt = await askForToken('https://jwt.api.example.com')
  const said = await call(gateways.json, '/jwt', 'example', jwt)
  report.accepted('a JWT, verified by the keys that discovery finds', 200, said.outcome)
  report.accepted('the API gets that very JWT', true, said.fields.authorization === `Bearer ${jwt}`)
  for (const [what, path, partner, presented] of [
    ['the same JWT, another certificate', '/jwt', 'other', jwt],
    ['the JWT where opaque tokens alone are taken', '/opaque', 'example', jwt],
    ['the opaque token where JWTs alone are taken', '/jwt', 'example', token],
  ]) {
    report.refused(what, '401 invalid_token', await outcome(gateways.json, path, partner, presented))
  }

  const plain = await plainJwt('example')
  report.refused('a JWT of typ JWT', '401 invalid_token', await outcome(gateways.json, '/jwt', 'example', plain))
  report.accepted('the same where that is configured', 200, await outcome(gateways.signed, '/jwt', 'example', plain))
  const another = await outcome(gateways.signed, '/jwt', 'other', plain)
  report.refused('the same there, another certificate', '401 invalid_token', another)

  await post('example', '/token/revocation', { token })
  report.refused('a token that was revoked', '401 invalid_token', await outcome(gateways.json, '/opaque', 'example', token))

  const last = await askForToken('https://api.example.com')
  authorizationServer.close()
  authorizationServer.closeAllConnections()
  for (const gateway of Object.values(gateways)) {
    const unavailable = '503 temporarily_unavailable'
    report.refused('a good token, no authorization server', unavailable, await outcome(gateway, '/opaque', 'example', last))
  }
  report.accepted('the JWT, no authorization server', 200, await outcome(gateways.json, '/jwt', 'example', jwt))
}

const children = []
process.on('exit', (code) => {
  children.forEach((child) => child.kill('SIGKILL'))
  if (code !== 0) Object.keys(gateways).forEach((name) => console.log(readFileSync(logOf(name), 'utf8')))
})
await main(children)
process.exit(0)
