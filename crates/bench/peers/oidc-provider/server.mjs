// The peer of the jobs `issue` and `introspect`: node-oidc-provider in memory, with the features those jobs use alone.
// Arguments: PORT CERTIFICATE KEY TRUST
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [port, certificate, key, trust] = process.argv.slice(2);

const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

const resourceServer = {
  scope: 'transactions',
  audience: 'api.example.com',
  accessTokenFormat: 'opaque',
  accessTokenTTL: 4 * 60 * 60,
};

// A certificate is read once for each connection, as ours is.
const certificates = new WeakMap();
const certificateOf = ({ socket }) => {
  if (!certificates.has(socket)) certificates.set(socket, socket.getPeerX509Certificate());
  return certificates.get(socket);
};

const provider = new Provider('https://login.example.com', {
  jwks: { keys: [{ ...signingKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'bench' }] },
  scopes: ['transactions'],
  clientDefaults: { id_token_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' },
  clientAuthMethods: ['tls_client_auth'],
  clients: [
    {
      client_id: 'partner-client',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=demo-partner',
      tls_client_certificate_bound_access_tokens: true,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'transactions',
    },
    {
      client_id: 'gateway',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_dns: 'gateway-internal.example.com',
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    },
  ],
  enabledJWA: { introspectionSigningAlgValues: ['ES256'] },
  ttl: { ClientCredentials: 4 * 60 * 60 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_context, client) => client.clientId === 'gateway' },
    jwtIntrospection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://api.example.com',
      useGrantedResource: () => true,
      getResourceServerInfo: () => resourceServer,
    },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: certificateOf,
      certificateAuthorized: (context) => context.socket.authorized,
      certificateSubjectMatches: (context, property, expected) => {
        const { subject, subjectAltName } = certificateOf(context);
        return property === 'tls_client_auth_subject_dn'
          ? subject === expected
          : (subjectAltName ?? '').split(', ').includes(`DNS:${expected}`);
      },
    },
  },
});

provider.on('server_error', (_context, error) => console.error(error));

const options = {
  cert: readFileSync(certificate),
  key: readFileSync(key),
  ca: readFileSync(trust),
  requestCert: true,
  rejectUnauthorized: false,
  minVersion: 'TLSv1.3',
};
const server = createServer(options, provider.callback());
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
