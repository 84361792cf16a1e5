// What of an installed program is shown to a run, on real files.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { installationOf, placesIn } from './find-program.ts'

let home: string
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'orch-home-')))
  vi.stubEnv('HOME', home)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

function put(path: string, text = '#!/bin/sh\n'): string {
  const file = join(home, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode: 0o755 })
  return file
}

test('a launcher comes with its package', () => {
  const program = put('lib/node_modules/agent/bin/cli.js')
  put('lib/node_modules/agent/package.json', '{"name":"agent"}')
  mkdirSync(join(home, 'bin'))
  symlinkSync(program, join(home, 'bin/agent'))
  expect(installationOf(join(home, 'bin/agent'))).toEqual([
    join(home, 'bin/agent'),
    program,
    join(home, 'lib/node_modules/agent'),
  ])
})

test('so does a program that is run from its own checkout', () => {
  const program = put('code/agent/dist/cli.js')
  put('code/agent/package.json', '{"name":"agent","bin":"dist/cli.js"}')
  expect(installationOf(program)).toEqual([program, join(home, 'code/agent')])
})

test.each(['{"private":true}', '{"name":"mine","bin":"x"}', 'not json'])(
  "a person's own package.json in HOME shows nothing of HOME: %s",
  (manifest) => {
    put('package.json', manifest)
    const program = put('.local/bin/agent')
    expect(installationOf(program)).toEqual([program])
  },
)

test('a certificate that is named and not there is not shown: no sandbox starts with a place that is missing', () => {
  const file = put('ca.pem', 'x')
  const env = { SSL_CERT_FILE: file, SSL_CERT_DIR: join(home, 'gone'), NODE_EXTRA_CA_CERTS: '' }
  expect(placesIn(env, ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'])).toEqual([file])
})
