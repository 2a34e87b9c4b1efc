// The authorization server scenarios of the conformance package of MCP.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { answer, issuer, resource } from './browser.mjs'

const program = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'))
const shim = new URL('globsync.mjs', import.meta.url).href

test('the scenarios for authorization servers pass', { timeout: 60_000 }, async () => {
  const port = await freePort()
  const { client_id } = await registered(`http://127.0.0.1:${port}/callback`)
  const args = ['authorization', '--url', issuer, '--client-id', client_id, '--resource', resource, '--port', port]
  const child = spawn(process.execPath, ['--import', shim, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')

  const lines = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    // It asks a person to open a URL, and waits for what the browser is sent to.
    if (line.startsWith('Callback server started')) {
      await fetch(await answer(lines.find((url) => url.startsWith(`${issuer}/authorize?`))))
    }
  }
  const [code] = await closed
  const out = lines.join('\n')
  assert.equal(code, 0, out)
  for (const scenario of ['authorization-server-metadata-endpoint', 'authorization-code-grant']) {
    assert.match(out, new RegExp(`✓ ${scenario}: [1-9]\\d* passed, 0 failed`))
  }
  assert.match(out, /Total: 3 passed, 0 failed/)
})

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function registered(callback) {
  const response = await fetch(`${issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Conformance', redirect_uris: [callback], token_endpoint_auth_method: 'none' }),
  })
  assert.equal(response.status, 201)
  return response.json()
}
