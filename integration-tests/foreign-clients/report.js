// What a client on Node.js says of itself: one line per outcome, and the end at the first that is wrong.
import { webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, fetch } from 'undici'

// Both libraries use the platform's WebCrypto, which Node.js 18 does not make global.
globalThis.crypto ??= webcrypto

export const issuer = new URL('https://login.example.com/oauth/v2/oauth-anonymous')
export const api = new URL('https://api.example.com/api/transactions')

/** The client certificate is the connection's, so it comes with `fetch`: both libraries document this way. */
export function fetchAs(partner) {
  const connect = { ca: readFileSync('certs/root.pem'), timeout: 20_000 }
  if (partner) {
    connect.cert = readFileSync(`certs/${partner}.client.pem`)
    connect.key = readFileSync(`certs/${partner}.client.key`)
  }
  const dispatcher = new Agent({ connect, headersTimeout: 20_000, bodyTimeout: 20_000 })
  return (url, options) => fetch(url, { ...options, dispatcher })
}

/** What came of it: the value, or the status and what the refusal names, an error or a challenge's scheme. */
export async function outcomeOf(promise) {
  try {
    return await promise
  } catch (refusal) {
    if (refusal.error) return `${refusal.status} ${refusal.error}`
    if (!Array.isArray(refusal.cause)) throw refusal
    const [{ scheme, parameters }] = refusal.cause
    return `${refusal.status} ${parameters.error ?? scheme}`
  }
}

export function reportOf(client) {
  const line = (verdict) => (what, wanted, got) => {
    if (got !== wanted) {
      console.log(`FAILED    ${client.padEnd(17)} ${what}: expected ${wanted}, got ${got}`)
      process.exit(1)
    }
    console.log(`${verdict.padEnd(9)} ${client.padEnd(17)} ${what}: ${got}`)
  }
  return { accepted: line('accepted'), refused: line('refused') }
}
