// The client of the official MCP SDK against the server.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'

import { auth, discoverOAuthServerInfo, refreshAuthorization, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

import { answer, issuer, redirectURI, resource, second } from './browser.mjs'

// Provider keeps everything in memory, and answers for the user.
class Provider {
  redirectUrl = redirectURI
  clientMetadata = {
    client_name: 'MCP SDK test',
    redirect_uris: [redirectURI],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }
  kept = {}
  invalidated = []

  clientInformation = () => this.kept.client
  saveClientInformation = (client) => { this.kept.client = client }
  tokens = () => this.kept.tokens
  saveTokens = (tokens) => { this.kept.tokens = tokens }
  codeVerifier = () => this.kept.verifier
  saveCodeVerifier = (verifier) => { this.kept.verifier = verifier }
  state = () => (this.kept.state = randomUUID())

  async redirectToAuthorization(url) {
    this.asked = url
    const { searchParams } = await answer(url)
    assert.equal(searchParams.get('state'), this.kept.state)
    assert.equal(searchParams.get('iss'), issuer)
    this.code = searchParams.get('code')
    assert.ok(this.code, 'the answer has a code')
  }

  invalidateCredentials(scope) {
    this.invalidated.push(scope)
    for (const name of scope === 'all' ? ['client', 'tokens', 'verifier'] : [scope]) delete this.kept[name]
  }
}

const transportFor = (authProvider) => new StreamableHTTPClientTransport(new URL(resource), { authProvider })

// connected is a client that has connected, and is closed after the test.
async function connected(t, transport) {
  const client = new Client({ name: 'oauthstore-test', version: '1' })
  await client.connect(transport)
  t.after(() => client.close())
  return client
}

// authorized is a provider that has been through everything, and its client.
async function authorized(t, provider = new Provider()) {
  const transport = transportFor(provider)
  await assert.rejects(new Client({ name: 'oauthstore-test', version: '1' }).connect(transport), UnauthorizedError)
  await transport.finishAuth(provider.code)
  return { provider, client: await connected(t, transportFor(provider)) }
}

async function whoami(client) {
  const { isError, structuredContent } = await client.callTool({ name: 'whoami' })
  assert.ok(!isError)
  return structuredContent
}

test('the SDK discovers, registers, authorizes and calls the tools', async (t) => {
  const { provider, client } = await authorized(t)

  assert.equal(provider.asked.searchParams.get('resource'), resource)
  assert.equal(provider.asked.searchParams.get('code_challenge_method'), 'S256')
  assert.equal(provider.kept.tokens.token_type.toLowerCase(), 'bearer')
  assert.equal(provider.kept.tokens.scope, 'profile notes')

  const { tools } = await client.listTools()
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['recall', 'remember', 'whoami'])
  assert.deepEqual(await whoami(client), {
    subject: 'alice', client_id: provider.kept.client.client_id, scopes: ['profile', 'notes'],
  })

  const text = `a note: ${randomUUID()} <ä€🙂>`
  assert.ok(!(await client.callTool({ name: 'remember', arguments: { text } })).isError)
  assert.deepEqual((await client.callTool({ name: 'recall' })).structuredContent, { text })
})

test('the SDK refreshes by itself when the access token is no longer accepted', async (t) => {
  const { provider, client } = await authorized(t)
  const before = provider.kept.tokens
  provider.kept.tokens = { ...before, access_token: 'lost' }
  provider.asked = undefined

  assert.equal((await whoami(client)).subject, 'alice')
  assert.notEqual(provider.kept.tokens.access_token, before.access_token)
  assert.notEqual(provider.kept.tokens.refresh_token, before.refresh_token, 'refresh tokens rotate')
  assert.equal(provider.asked, undefined, 'the user is not asked again')

  assert.equal(await auth(provider, { serverUrl: resource }), 'AUTHORIZED')
  assert.equal((await whoami(client)).subject, 'alice')
  assert.deepEqual(provider.invalidated, [])
})

test('20 parallel refreshes with one refresh token give one answer, from any process', async (t) => {
  const { provider } = await authorized(t)
  const { authorizationServerMetadata: metadata } = await discoverOAuthServerInfo(resource)
  const refresh = (url) => refreshAuthorization(issuer, {
    metadata: { ...metadata, token_endpoint: metadata.token_endpoint.replace(issuer, url) },
    clientInformation: provider.kept.client,
    refreshToken: provider.kept.tokens.refresh_token,
    resource: new URL(resource),
  })

  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => refresh(i % 2 ? second : issuer)))
  for (const { access_token, refresh_token } of answers) {
    assert.equal(access_token, answers[0].access_token)
    assert.equal(refresh_token, answers[0].refresh_token)
  }
  assert.notEqual(answers[0].access_token, provider.kept.tokens.access_token)
  assert.notEqual(answers[0].refresh_token, provider.kept.tokens.refresh_token)

  for (const url of [issuer, second]) {
    const headers = { authorization: `Bearer ${answers[0].access_token}` }
    const client = await connected(t, new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }))
    assert.equal((await whoami(client)).subject, 'alice')
  }
})

test('the SDK registers again when the server does not know its client id', async (t) => {
  const { provider: old } = await authorized(t)
  const provider = new Provider()
  const unknown = randomUUID()
  provider.kept = {
    client: { ...old.kept.client, client_id: unknown },
    tokens: { ...old.kept.tokens, access_token: 'lost' },
  }

  const { client } = await authorized(t, provider)
  assert.deepEqual(provider.invalidated, ['all'])
  assert.notEqual(provider.kept.client.client_id, unknown)
  assert.equal((await whoami(client)).client_id, provider.kept.client.client_id)
})

test('the SDK asks the user again when its refresh token is no longer accepted', async (t) => {
  const { provider } = await authorized(t)
  const id = provider.kept.client.client_id
  provider.kept.tokens = { ...provider.kept.tokens, access_token: 'lost', refresh_token: 'lost' }

  const { client } = await authorized(t, provider)
  assert.deepEqual(provider.invalidated, ['tokens'])
  assert.equal((await whoami(client)).client_id, id)
})
