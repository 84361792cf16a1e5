import { expect, test } from 'vitest'
import type { App, ConformanceRequest, ConformanceResult } from '../../../flow/app.ts'
import { fakeApp, orch } from '../fake-app.ts'

type Checks = ConformanceResult['checks']

const FINE: Checks[number] = { name: 'session', status: 'ok', text: 'open', fix: null }
const WARNED: Checks[number] = {
  name: 'resume',
  status: 'warning',
  text: 'a new one\nis begun',
  fix: 'offer session/load',
}
const BROKEN: Checks[number] = { name: 'commits', status: 'failed', text: 'in no commit', fix: 'let it run git' }

function appWith(checks: Checks): { app: App; asked: ConformanceRequest[] } {
  const asked: ConformanceRequest[] = []
  const conformance: App['conformance'] = async (request) => {
    asked.push(request)
    for (const check of checks) request.onCheck(check)
    return { protocol: 'acp', checks }
  }
  return { app: fakeApp({ conformance }), asked }
}

test('each check is told with what to do; warnings do not fail', async () => {
  const { app, asked } = appWith([FINE, WARNED])
  const { exit, stdout, stderr } = await orch(['agent', 'conformance', 'goose acp'], { app })
  expect(exit).toBe(0)
  expect(asked).toMatchObject([{ command: 'goose acp', protocol: null, prompts: true }])
  expect(stdout).toContain('✓ session: open\n')
  expect(stdout).toMatch(/! resume: a new one.*is begun\n {2}→ offer session\/load\n/)
  expect(stdout).toContain('1 fine, 1 warnings, 0 failed (acp)')
  // Said before anything is spent.
  expect(stderr).toContain('which your login pays for')
})

test('a failed check is exit code 1, also as JSON', async () => {
  const { app } = appWith([FINE, BROKEN])
  const { exit, stdout } = await orch(['agent', 'conformance', 'x', '--json'], { app })
  expect(exit).toBe(1)
  expect(JSON.parse(stdout)).toEqual({ ok: false, protocol: 'acp', checks: [FINE, BROKEN] })
})

test('without prompts nothing is spent, and nothing of it said', async () => {
  const { app, asked } = appWith([FINE])
  const argv = ['agent', 'conformance', 'x', '--no-prompt', '--protocol', 'command']
  const { stderr } = await orch(argv, { app })
  expect(stderr).toBe('')
  expect(asked).toMatchObject([{ protocol: 'command', prompts: false }])
})

test('an unknown protocol is wrong use', async () => {
  const { exit, stderr } = await orch(['agent', 'conformance', 'x', '--protocol', 'http'], { app: fakeApp() })
  expect(exit).toBe(2)
  expect(stderr).toContain('acp, command')
})

test('a stop is handed on', async () => {
  let press = (): void => undefined
  const conformance: App['conformance'] = async ({ signal }) => {
    press()
    expect(signal.aborted).toBe(true)
    return { protocol: 'acp', checks: [FINE] }
  }
  const onReady = (given: () => void): void => {
    press = given
  }
  const { exit } = await orch(['agent', 'conformance', 'x'], { app: fakeApp({ conformance }), onReady })
  expect(exit).toBe(130)
})
