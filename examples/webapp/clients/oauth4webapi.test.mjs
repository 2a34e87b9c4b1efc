// oauth4webapi, which checks every answer against the RFCs, against the server.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as oauth from 'oauth4webapi'

import { answer, issuer, redirectURI, resource } from './browser.mjs'

// The server under test is on loopback, without TLS.
const http = { [oauth.allowInsecureRequests]: true }

const as = await discovered()

async function discovered() {
  const url = new URL(issuer)
  const response = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...http })
  return oauth.processDiscoveryResponse(url, response)
}

const methods = {
  none: () => oauth.None(),
  client_secret_basic: (client) => oauth.ClientSecretBasic(client.client_secret),
  client_secret_post: (client) => oauth.ClientSecretPost(client.client_secret),
}

// clientOf is a client that uses method, and how it authenticates. The tests share it: the server limits how many are
// registered in a minute.
const clientOf = (method) => (clients[method] ??= registered(method))
const clients = {}

async function registered(method) {
  const response = await oauth.dynamicClientRegistrationRequest(as, {
    client_name: 'oauth4webapi test',
    redirect_uris: [redirectURI],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: method,
  }, http)
  const client = await oauth.processDynamicClientRegistrationResponse(response)
  return { client, clientAuth: methods[client.token_endpoint_auth_method](client) }
}

// asked sends the user to the server, and returns the checked answer and what it takes to redeem its code.
async function asked({ client }, decision) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    response_type: 'code', client_id: client.client_id, redirect_uri: redirectURI, state, scope: 'profile', resource,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const sent = await answer(url, decision)
  assert.equal(sent.searchParams.get('iss'), issuer)
  return { parameters: oauth.validateAuthResponse(as, client, sent, state), verifier }
}

async function redeemed({ client, clientAuth }, { parameters, verifier }) {
  const response = await oauth.authorizationCodeGrantRequest(as, client, clientAuth, parameters, redirectURI, verifier, {
    ...http, additionalParameters: { resource },
  })
  return oauth.processAuthorizationCodeResponse(as, client, response)
}

async function refreshed({ client, clientAuth }, token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, clientAuth, token, {
    ...http, additionalParameters: { resource },
  })
  return oauth.processRefreshTokenResponse(as, client, response)
}

async function introspected({ client, clientAuth }, token) {
  const response = await oauth.introspectionRequest(as, client, clientAuth, token, http)
  return oauth.processIntrospectionResponse(as, client, response)
}

async function revoke({ client, clientAuth }, token) {
  const response = await oauth.revocationRequest(as, client, clientAuth, token, http)
  return oauth.processRevocationResponse(response)
}

// accepted asks the MCP endpoint, which any client may, and not only one that authenticates.
async function accepted(token) {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' })
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } })
  try {
    const response = await oauth.protectedResourceRequest(token, 'POST', new URL(resource), headers, body, http)
    assert.equal(response.status, 200)
    assert.equal((await response.json()).result.structuredContent.subject, 'alice')
    return true
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
    assert.equal(error.status, 401)
    assert.equal(error.cause[0].scheme, 'bearer')
    return false
  }
}

// notAuthenticated tries to introspect. Every 401 names a scheme (RFC 9110 §15.5.2), for which oauth4webapi leaves the
// body alone.
async function notAuthenticated(who) {
  const error = await introspected(who, 'any').then(() => assert.fail('the client is believed'), (error) => error)
  assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error))
  assert.equal(error.status, 401)
  assert.equal(error.cause[0].scheme, 'basic')
  assert.equal((await error.response.json()).error, 'invalid_client')
}

const inactive = { active: false }
const invalidGrant = { name: 'ResponseBodyError', status: 400, error: 'invalid_grant' }

test('both metadata documents are found, and fit each other', async () => {
  const response = await oauth.resourceDiscoveryRequest(new URL(resource), http)
  const metadata = await oauth.processResourceDiscoveryResponse(new URL(resource), response)
  assert.deepEqual(metadata.authorization_servers, [as.issuer])
  assert.deepEqual(as.code_challenge_methods_supported, ['S256'])
  assert.equal(as.authorization_response_iss_parameter_supported, true)
})

test('a client that names no method gets client_secret_basic', async () => {
  const { client } = await registered(undefined)
  assert.equal(client.token_endpoint_auth_method, 'client_secret_basic')
  assert.ok(client.client_secret)
})

for (const method of Object.keys(methods)) {
  const confidential = method !== 'none'

  test(`${method}: a code gives tokens, which are refreshed and revoked`, async () => {
    const who = await clientOf(method)
    assert.equal(who.client.client_secret !== undefined, confidential)

    const first = await redeemed(who, await asked(who))
    assert.equal(first.token_type, 'bearer') // oauth4webapi makes it lower case
    assert.equal(first.scope, 'profile')
    assert.ok(first.expires_in > 0)
    assert.ok(await accepted(first.access_token))

    const next = await refreshed(who, first.refresh_token)
    assert.notEqual(next.access_token, first.access_token)
    assert.notEqual(next.refresh_token, first.refresh_token)
    assert.ok(await accepted(next.access_token))

    await revoke(who, next.access_token)
    assert.ok(!await accepted(next.access_token))

    await revoke(who, next.refresh_token)
    await assert.rejects(refreshed(who, next.refresh_token), invalidGrant)
    assert.ok(!await accepted(first.access_token), 'revoking a refresh token ends its grant')
    await revoke(who, next.refresh_token) // again, and nothing is said
  })

  test(`${method}: a wrong verifier is invalid_grant`, async () => {
    const who = await clientOf(method)
    const { parameters } = await asked(who)
    await assert.rejects(redeemed(who, { parameters, verifier: oauth.generateRandomCodeVerifier() }), invalidGrant)
  })

  test(`${method}: a code used twice is invalid_grant, and ends the tokens of the first use`, async () => {
    const who = await clientOf(method)
    const code = await asked(who)
    const first = await redeemed(who, code)
    await assert.rejects(redeemed(who, code), invalidGrant)

    assert.ok(!await accepted(first.access_token))
    await assert.rejects(refreshed(who, first.refresh_token), invalidGrant)
    if (confidential) {
      assert.deepEqual(await introspected(who, first.access_token), inactive)
      assert.deepEqual(await introspected(who, first.refresh_token), inactive)
    }
  })

  if (!confidential) continue

  test(`${method}: introspection describes live tokens, and says of others that they are inactive`, async () => {
    const who = await clientOf(method)
    const { access_token, refresh_token, expires_in } = await redeemed(who, await asked(who))

    const live = await introspected(who, access_token)
    const { active, client_id, sub, scope, aud, iss, token_type } = live
    assert.deepEqual({ active, client_id, sub, scope, iss, token_type }, {
      active: true, client_id: who.client.client_id, sub: 'alice', scope: 'profile', iss: issuer, token_type: 'Bearer',
    })
    assert.deepEqual([aud].flat(), [resource])
    assert.ok([0, 1].includes(live.exp - live.iat - expires_in), 'expires_in counts from the answer, in whole seconds')
    assert.ok((await introspected(who, refresh_token)).active)
    assert.deepEqual(await introspected(who, 'never issued'), inactive)

    await revoke(who, access_token)
    assert.deepEqual(await introspected(who, access_token), inactive)
    await revoke(who, refresh_token)
    assert.deepEqual(await introspected(who, refresh_token), inactive)
  })

  test(`${method}: a wrong secret is invalid_client`, async () => {
    const { client } = await clientOf(method)
    await notAuthenticated({ client, clientAuth: methods[method]({ client_secret: 'wrong' }) })
  })
}

test('a public client cannot introspect', async () => {
  await notAuthenticated(await clientOf('none'))
})

test('a user who says no is access_denied, with state and iss', async () => {
  const who = await clientOf('none')
  await assert.rejects(asked(who, 'deny'), { name: 'AuthorizationResponseError', error: 'access_denied' })
})
