import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findAssets, makeConfig } from './make-config.ts'

const config = makeConfig({ assets: findAssets(dirname(fileURLToPath(import.meta.url))) })

function resolve(text: string) {
  const files = { config: { name: '.orch.yml', text }, pipelines: [], prompts: {} }
  return config.resolve({ layers: { env: {}, user: null, projectId: null }, files, pipeline: null })
}

function problems(text: string): string[] {
  const resolution = resolve(text)
  return resolution.ok ? [] : resolution.problems.map((one) => `${one.line} ${one.key}: ${one.text}`)
}

test('checkout.sparse names folders, and none means everything', () => {
  const named = resolve('checkout: { sparse: [apps/shop, libs/] }')
  expect(named.ok && named.project.policy.checkout).toEqual({ sparse: ['apps/shop', 'libs/'] })
  const none = resolve('verify: none')
  expect(none.ok && none.project.policy.checkout).toEqual({ sparse: [] })
  const hash = (at: ReturnType<typeof resolve>): unknown => at.ok && at.project.policy.configHash
  expect(hash(named)).not.toBe(hash(none))
})

test.each([
  ['checkout: { sparse: [../x] }', /^1 checkout\.sparse\[0\]: must be a path inside the repository/],
  ['checkout: { sparse: apps }', /^1 checkout\.sparse: must be a list/],
  ['checkout: { spare: [apps] }', /^1 checkout\.spare: unknown key \(did you mean "sparse"\?\)/],
])('a wrong value is a problem: %s', (text, expected) => {
  expect(problems(text)).toEqual([expect.stringMatching(expected)])
})

test('a verify command in a folder that is not checked out is a problem', () => {
  const text = (cwd: string): string =>
    `checkout: { sparse: [apps/shop, ./libs/money/] }\nverify:\n  - npm test\n  - { run: npm test, cwd: ${cwd} }`
  for (const there of ['apps/shop', 'apps/shop/deep', 'apps', 'libs/money/', '.'])
    expect(problems(text(there))).toEqual([])
  for (const away of ['apps/till', 'apps/shops', 'libs/other', 'docs'])
    expect(problems(text(away))).toEqual([
      `2 verify[1].cwd: ${away} is not checked out: \`checkout.sparse\` names apps/shop, libs/money`,
    ])
  expect(problems('checkout: { sparse: [.] }\nverify: [{ run: x, cwd: docs }]')).toEqual([])
})
