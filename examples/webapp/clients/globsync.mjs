// The conformance package imports fs.globSync, which Node has from version 22 on. None of the commands used here calls it, so on
// an older Node it gets one that throws.
import * as fs from 'node:fs'
import { register } from 'node:module'

const standIn = `data:text/javascript,${encodeURIComponent(`
  export * from 'node:fs'
  export function globSync() { throw new Error('fs.globSync needs Node 22') }
`)}`

const hook = `
  export function resolve(specifier, context, next) {
    const wanted = specifier === 'fs' && context.parentURL?.includes('/@modelcontextprotocol/conformance/')
    return wanted ? { url: ${JSON.stringify(standIn)}, shortCircuit: true } : next(specifier, context)
  }
`

if (!fs.globSync) register(`data:text/javascript,${encodeURIComponent(hook)}`)
