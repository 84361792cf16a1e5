// The real Codex CLI through all that every agent must come through, and what it alone must hold.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PATH } from '../../src/agents/__fixtures__/runs.ts'
import type { AgentRequest, RunEvent, RunSummary } from '../../src/agents/agent.ts'
import { codexAdapter } from '../../src/agents/codex.ts'
import { lendCredentials, writeSettings } from '../../src/agents/credentials.ts'
import { runProcess } from '../../src/lib/process.ts'
import { makeGitDir } from '../../src/workspace/git-dir.ts'
import { probeSandbox } from '../../src/workspace/sandbox.ts'
import { describeMatrix } from './matrix.ts'
import { USAGE } from './model-server.ts'
import { environmentOf, git, makeSiteIn, type Site } from './site.ts'
import { makeSubjectRuns, type SubjectRuns } from './subject-runs.ts'
import { codex } from './subjects/codex.ts'

describeMatrix(codex)

const sandbox = await probeSandbox(process.env)
const hides = sandbox.means.kind === 'bubblewrap'
let runs: SubjectRuns
let root: string

beforeAll(async () => {
  runs = await makeSubjectRuns(codex)
  // Not under the system's temp folder, which its own sandbox leaves open.
  root = mkdtempSync(join(programs(), '..', 'orch-codex-'))
})
afterAll(async () => {
  await runs?.close()
  if (root) rmSync(root, { recursive: true, force: true })
})

/** The folder all CLIs are installed below. */
const programs = (): string => join(dirname(runs.installed.codex), '../..')

interface Played {
  events: RunEvent[]
  summary: RunSummary
  seconds: number
}

interface Playing {
  site: Site
  script: string
  env?: Record<string, string>
  request?: Partial<AgentRequest>
  /** A home that the sandbox hides. */
  hidden?: string
}

/** Runs the adapter's command by itself, as the runner would. */
async function play({
  site,
  script,
  env = codex.env({ url: runs.server.url, home: site.home }),
  ...more
}: Playing): Promise<Played> {
  const request: AgentRequest = {
    program: {},
    path: runs.installed.codex,
    model: null,
    effort: null,
    resume: null,
    configDir: site.config,
    sandboxed: true,
    env: { HOME: site.home, PATH, ...env },
    ...more.request,
  }
  const command = codexAdapter.command(request)
  await lendCredentials(command.credentials, site.config)
  await writeSettings(command.files ?? [], site.config)
  const asked = {
    argv: [command.file, ...command.args],
    cwd: site.workspace,
    env: { ...environmentOf(site), ...command.env },
  }
  const writable = [site.workspace, site.config, site.handoff, site.runHome]
  const inside =
    more.hidden === undefined
      ? null
      : (await probeSandbox({ PATH, HOME: more.hidden })).wrap({
          ...asked,
          writable,
          readable: command.reads,
          network: true,
        })
  const header = `Orch-Task: T-1\nOrch-Stage: develop\nOrch-Role: developer\nOrch-Attempt: 1\nOrch-Handoff: ${site.handoff}\n`
  const input = `${header}\n\`\`\`model-script\n${script}\n\`\`\`\n`
  const argv = inside ? [inside.file, ...inside.args] : asked.argv
  const result = await runProcess({ ...asked, argv: argv as [string, ...string[]], input, timeoutMs: 90_000 })
  const parser = codexAdapter.parser({ resumed: false, previousUsage: null, previousCostUsd: null })
  const events = result.stdout.split('\n').flatMap((line) => parser.push(line))
  const summary = parser.end({ exitCode: result.exitCode, signal: result.signal, stderrTail: result.stderr })
  return { events, summary, seconds: result.durationMs / 1_000 }
}

/** What an API answers that has no web sockets, as the CLI asks it first. */
const NO_SOCKET = 426
const GOOD_ANSWER = [
  { type: 'response.created', response: { id: 'resp_1' } },
  {
    type: 'response.output_item.done',
    item: { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'hi' }] },
  },
  {
    type: 'response.completed',
    response: { id: 'resp_1', usage: { input_tokens: 1_000, output_tokens: 100, total_tokens: 1_100 } },
  },
]

interface Api {
  url: string
  /** The login of each request that posted something. */
  logins: string[]
  close: () => void
}

/** An API on loopback that answers well, or each time with this status. */
async function startApi(status: number): Promise<Api> {
  const logins: string[] = []
  const server = createServer((request, response) => {
    request.resume()
    if (request.method !== 'POST') {
      response.writeHead(NO_SOCKET).end()
      return
    }
    logins.push(request.headers.authorization ?? '')
    response.writeHead(status, { 'content-type': status === 200 ? 'text/event-stream' : 'application/json' })
    response.end(status === 200 ? GOOD_ANSWER.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('') : '{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, logins, close }
}

const warnings = (events: RunEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'message' && event.text.startsWith('warning: ') ? [event.text] : []))

describe('codex alone', () => {
  test.skipIf(!hides)(
    `installed below a HOME that is hidden, it works${hides ? '' : ' (skipped: no bubblewrap)'}`,
    async () => {
      const site = await runs.makeSite()
      const script = `develop: [[{bash: "ls ${programs()} > seen; command -v rg >> seen; true"}]]`
      const { summary } = await play({ site, script, hidden: programs() })
      expect(summary.failure).toBeNull()
      const seen = readFileSync(join(site.workspace, 'seen'), 'utf8')
      expect(seen).toContain('codex-path/rg')
      expect(seen).not.toContain('package')
    },
  )

  test("only the person's model comes along: no server of theirs starts, the project's does", async () => {
    const site = await runs.makeSite()
    mkdirSync(join(site.workspace, '.codex'))
    const project = '[mcp_servers.project]\ncommand = "touch"\nargs = ["started-by-project"]\n'
    writeFileSync(join(site.workspace, '.codex/config.toml'), project)
    const request = { writable: [site.workspace, site.handoff], effort: 'high' as const, model: 'another-model' }
    const { events, summary } = await play({ site, script: 'develop: [[{bash: "echo $PATH > path"}]]', request })
    expect(summary.failure).toBeNull()
    expect(warnings(events).join('\n')).not.toMatch(/ignor|unrecognized|deprecated/i)
    expect(warnings(events).join('\n')).toContain('another-model')
    expect(existsSync(join(site.workspace, 'started-by-codex'))).toBe(false)
    expect(existsSync(join(site.workspace, 'started-by-project'))).toBe(true)
    // No login shell has replaced it.
    expect(readFileSync(join(site.workspace, 'path'), 'utf8')).toContain(PATH)
  })

  test('a key for the API of OpenAI: little is tried again', async () => {
    const site = await runs.makeSite()
    writeFileSync(join(site.home, '.codex/auth.json'), '{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-own"}')
    const playOn = async (status: number): Promise<Played & Api> => {
      const api = await startApi(status)
      writeFileSync(join(site.home, '.codex/config.toml'), `openai_base_url = "${api.url}/v1"\n`)
      const played = await play({ site, script: 'develop: [[{say: hi}]]', env: {} }).finally(api.close)
      return { ...played, ...api }
    }
    const good = await playOn(200)
    expect(good.summary).toMatchObject({ failure: null, usage: { input: 1_000 } })
    expect(good.logins).toEqual(['Bearer sk-own'])
    expect(warnings(good.events).join('\n')).not.toMatch(/ignor|unrecognized|deprecated/i)
    const bad = await playOn(500)
    expect(bad.summary.failure).toMatchObject({ code: 'overload' })
    // Two streams of three requests; its own provider makes six of five.
    expect(bad.logins.length).toBeLessThanOrEqual(6)
  })

  test('what a killed run used is counted with the session that goes on', async () => {
    const site = await runs.makeSite()
    const before = runs.server.answered()
    const script = 'develop: [[{bash: "true"}, {hang: true}], [{say: again}]]'
    const killed = await runs.play(null, { script, site, timeLimitMs: 5_000 })
    expect(killed).toMatchObject({ outcome: { kind: 'timed-out' }, usage: { input: 0 } })
    const next = await runs.play(null, { script, site, attempt: 2, resume: [killed] })
    expect(next).toMatchObject({ outcome: { kind: 'succeeded' }, sessionId: killed.sessionId })
    // All but the answer whose tool was cut off: the CLI writes it down with its tool's end.
    expect(next.usage.input).toBe((runs.server.answered() - before - 1) * USAGE.input_tokens)
  })
})

describe('codex in its own sandbox', () => {
  test("in a workspace that borrows a mirror's objects it commits and hands off, and writes nowhere else", async () => {
    const site = await makeSiteIn(join(root, 'site'), codex, runs.server.url)
    const mirror = join(root, 'mirror.git')
    await git(site, 'clone', '--quiet', '--mirror', '.', mirror)
    const sha = await git(site, 'rev-parse', 'HEAD')
    rmSync(join(site.workspace, '.git'), { recursive: true })
    const identity = { name: 'Ann Example', email: 'ann@example.com' }
    const facts = { objects: join(mirror, 'objects'), identity, excludes: [], sparse: [], tags: '' }
    await makeGitDir(join(site.workspace, '.git'), { ...facts, head: 'orch/T-1', sha, base: { branch: 'main', sha } })
    const script = `develop:
  - - bash: "echo 1 > one && git add . && git commit -qm One"
    - bash: "touch ${root}/outside ${mirror}/objects/x; touch $HOME/own"`
    const writable = [site.workspace, site.runHome, site.handoff]
    const { summary, events } = await play({ site, script, request: { sandboxed: false, writable } })
    expect(summary.failure).toBeNull()
    expect(await git(site, 'log', '-1', '--format=%s %an')).toBe('One Ann Example')
    expect(readFileSync(join(site.handoff, 'handoff.md'), 'utf8')).toContain('status: done')
    expect(existsSync(join(site.runHome, 'own'))).toBe(true)
    expect([join(root, 'outside'), join(mirror, 'objects/x')].filter((path) => existsSync(path))).toEqual([])
    // What it refuses is the command's own failure.
    const told = events.flatMap((event) => (event.type === 'tool' && event.state !== 'started' ? [event.detail] : []))
    expect(told.join('\n')).toContain('Read-only file system')
  })
})
