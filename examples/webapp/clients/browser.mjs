// The user in front of a browser: signs in and answers the consent form.

export const issuer = process.env.OAUTHSTORE_URL
if (!issuer) throw new Error('OAUTHSTORE_URL is not set: it is the URL of the server to test')

// Another process on the same database, if there is one. It has the same issuer.
export const second = process.env.OAUTHSTORE_SECOND_URL || issuer

export const resource = `${issuer}/mcp`

// Nobody listens there: the answer is read from the redirect itself.
export const redirectURI = 'http://127.0.0.1:9/callback'

let cookie

// answer opens an authorization URL, answers the consent form with allow or deny, and returns the URL that the browser
// is sent to.
export async function answer(url, decision = 'allow') {
  const page = await consentForm(url)
  const [form, fields] = formOf(await page.text(), '/authorize')
  fields.append('decision', decision)
  const response = await request(new URL(form, issuer), { method: 'POST', body: fields })
  return new URL(location(response, await response.text()))
}

async function consentForm(url) {
  let page = await request(url)
  if (page.status === 303) {
    page = await signIn(new URL(location(page), issuer))
  }
  if (page.status !== 200) throw new Error(`no consent form: ${page.status} ${await page.text()}`)
  return page
}

// One session for all: the server limits how often a user can sign in.
async function signIn(url) {
  const page = await request(url)
  const [form, fields] = formOf(await page.text(), '/sign-in')
  fields.append('username', 'alice')
  fields.append('password', 'in-wonderland')
  const response = await request(new URL(form, issuer), { method: 'POST', body: fields })
  const next = location(response, await response.text())
  cookie = response.headers.getSetCookie()[0].split(';')[0]
  return request(new URL(next, issuer))
}

function request(url, init = {}) {
  return fetch(url, { ...init, redirect: 'manual', headers: cookie ? { cookie } : {} })
}

function location(response, text = '') {
  if (response.status !== 303) throw new Error(`no redirect: ${response.status} ${text}`)
  return response.headers.get('location')
}

// formOf returns where the form of a page goes, and its hidden inputs.
function formOf(html, action) {
  for (const [, start, body] of html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)) {
    if (attribute(start, 'action') !== action) continue
    const hidden = [...body.matchAll(/<input\b[^>]*>/g)].map(([input]) => input).filter((i) => attribute(i, 'type') === 'hidden')
    return [action, new URLSearchParams(hidden.map((input) => [attribute(input, 'name'), attribute(input, 'value')]))]
  }
  throw new Error(`the page has no form for ${action}: ${html}`)
}

function attribute(tag, name) {
  return unescape(tag.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1] ?? '')
}

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"' }
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
    if (name) return named[name] ?? all
    return String.fromCodePoint(decimal ? parseInt(decimal, 10) : parseInt(hex, 16))
  })
}
