// A whole run on a pair of tracker and forge: set up as a user does it, with the real program, and the steps that people and
// CI take. What came out is asked of the played vendors and of plain git.

import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type { LabelWorld } from '../../../src/drivers/label-events.contract.ts'
import type { TaskView } from '../../../src/flow/app.ts'
import { type Live, type World, makeWorld, sleep } from '../harness.ts'
import { openGiteaVendor } from './gitea.ts'
import { openGithubVendor } from './github.ts'
import { openPlaneVendor } from './plane.ts'
import { type Fates, type Mail, makeMail } from './mail.ts'
import type { Vendor, VendorOptions } from './vendor.ts'

export type VendorName = Vendor['name']

export interface PairOptions {
  tracker: VendorName | 'local'
  forge: 'github' | 'gitea'
  method: 'merge' | 'squash' | 'rebase'
  via?: 'push' | 'forge'
  /** Policy of approval; absent: `auto`. */
  approval?: 'label'
  /** Of deliveries; all come where absent. */
  fates?: Fates
  seed?: number
  /** Lines added to `.orch.yml`. */
  config?: string
  /** Lines of config.yml that say who works. */
  agents?: string
  /** Its line that says how often is asked; absent: so often that a test need not wait. */
  poll?: string
  env?: Record<string, string>
}

export interface Pair {
  world: World
  forge: Vendor & { forge: LabelWorld }
  /** Null: Orch's own list. */
  tracker: Vendor | null
  mail: Mail
  method: PairOptions['method']
  /** A squash that Orch pushed is no merge to a forge. */
  endsAs: 'merged' | 'closed'
  up(): Promise<Live>
  /** Waits for what is looked for. */
  until<T>(what: string, find: () => Promise<T | null | undefined | false>, timeoutMs?: number): Promise<T>
  close(): Promise<void>
}

const PREFIX = 'SHOP'
const CONTRIBUTOR = join(import.meta.dirname, '..', 'agents', 'contributor.mjs')
const OPEN: Record<VendorName, (options: VendorOptions) => Promise<Vendor>> = {
  github: openGithubVendor,
  gitea: openGiteaVendor,
  plane: openPlaneVendor,
}

const PIPELINE = `name: reviewed
description: CI and a person judge at the forge.
stages:
  - name: develop
    kind: agent
    role: developer
    gates: [handoff, changes, diff-budget, protected, secrets, verify]
  - name: publish
    kind: publish
  - name: judged
    kind: await
    gates: [ci, reviews]
    onFail: develop
  - name: land
    kind: land
    onFail: develop
`

const AGENTS = `agents:
  developer: { agent: claude }
  claude: { bin: ${CONTRIBUTOR} }
`

/** As a project's people would write it. */
function configOf(options: PairOptions): string {
  return [
    'pipeline: reviewed',
    'verify: ["sh test.sh"]',
    `approval: ${options.approval ?? 'auto'}`,
    `land: { method: ${options.method}, via: ${options.via ?? 'forge'} }`,
    'change: { labels: [by-orch], reviewers: [REVIEWER] }',
    options.config ?? '',
    '',
  ].join('\n')
}

export async function openPair(options: PairOptions): Promise<Pair> {
  const seed = options.seed ?? 1
  const mail = makeMail({ seed, ...(options.fates ? { fates: options.fates } : {}) })
  const port = await freePort()
  const hook = `http://127.0.0.1:${port}`
  const config = configOf(options)
  const reviewer = options.forge === 'github' ? 'mia' : 'mel'
  const world = await makeWorld({
    init: false,
    config: null,
    files: {
      '.orch.yml': config.replace('REVIEWER', reviewer),
      '.orch/pipelines/reviewed.yml': PIPELINE,
    },
    ...(options.env ? { env: options.env } : {}),
  })
  const open = (name: VendorName): Promise<Vendor> =>
    OPEN[name]({ repository: world.remote, mail, secret: `secret-of-${name}`, hook: `${hook}/webhooks/${name}` })
  const forge = await open(options.forge)
  const tracker =
    options.tracker === 'local' ? null : options.tracker === options.forge ? forge : await open(options.tracker)
  const vendors = [...new Set([forge, ...(tracker ? [tracker] : [])])]
  if (!forge.forge) throw new Error(`${forge.name} keeps no repositories`)
  const pair: Pair = {
    world,
    forge: { ...forge, forge: forge.forge },
    tracker,
    mail,
    method: options.method,
    endsAs: options.via === 'push' && options.method === 'squash' ? 'closed' : 'merged',
    up: async () => {
      const live = world.start(['up', '--json'])
      await live.says('webhooks are taken at')
      return live
    },
    until: (what, find, timeoutMs) => untilFound(pair, { what, find, timeoutMs }),
    close: async () => {
      try {
        await world.close()
      } finally {
        for (const vendor of vendors) await vendor.close()
      }
    },
  }
  try {
    await prepare(pair, { options, vendors, port, hook })
  } catch (error) {
    await pair.close().catch(() => undefined)
    throw error
  }
  return pair
}

/** Everything that a user does before `orch up`. */
async function prepare(
  { world, forge, tracker }: Pair,
  at: { options: PairOptions; vendors: Vendor[]; port: number; hook: string },
): Promise<void> {
  const { options, vendors, port, hook } = at
  for (const { env } of vendors) Object.assign(world.env, env)
  Object.assign(world.env, { GIT_CONFIG_GLOBAL: gitConfig(world, vendors), ANTHROPIC_API_KEY: 'a-key-of-a-test' })
  mkdirSync(world.home, { recursive: true })
  const lines = [
    `webhooks: { port: ${port} }`,
    options.poll ?? 'poll: { healthy: 3s, unhealthy: 1s, ci: 1s }',
    options.agents ?? AGENTS,
  ]
  writeFileSync(join(world.home, 'config.yml'), lines.join('\n'))
  const remotes = [
    ...(options.forge === 'github' ? [] : ['--forge', options.forge]),
    ...(tracker === null ? ['--tracker', 'none'] : []),
    ...(tracker !== null && tracker.name !== forge.name ? ['--tracker', `${tracker.name}:${tracker.ref}`] : []),
  ]
  await world.ok(['project', 'add', forge.ref, '--prefix', PREFIX, ...remotes])
  // Plane lets only a person make its webhook, and says so.
  await world.orch(['onboard', PREFIX, '--apply', '--url', hook])
  if (tracker?.name !== 'plane') await world.ok(['onboard', PREFIX, '--verify'])
}

/** Who commits, and the password of each host, as git's own configuration holds them. */
function gitConfig(world: World, vendors: Vendor[]): string {
  const file = join(world.dir, 'user', 'gitconfig')
  const store = join(world.dir, 'user', 'git-credentials')
  const logins = vendors.flatMap(({ url, login }) => (login ? [url.replace('://', `://${login}@`)] : []))
  writeFileSync(store, `${logins.join('\n')}\n`, { mode: 0o600 })
  writeFileSync(
    file,
    `[user]\n\tname = Ann Example\n\temail = ann@example.com\n[credential]\n\thelper = store --file ${store}\n`,
  )
  return file
}

async function untilFound<T>(
  { world, mail }: Pair,
  at: { what: string; find: () => Promise<T | null | undefined | false>; timeoutMs: number | undefined },
): Promise<T> {
  const { what, find, timeoutMs = 40_000 } = at
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = await find()
    if (found !== null && found !== undefined && found !== false) return found
    if (performance.now() < deadline) {
      await sleep(100)
      continue
    }
    const { stdout } = await world.orch(['status'])
    const audit = (await world.orch(['webhook', 'deliveries'])).stdout
    const why = (await world.orch(['why', `${PREFIX}-1`])).stdout
    throw new Error(`not within ${timeoutMs} ms: ${what}\n${stdout}\n${why}\n${audit}\n${mail.log.join('\n')}`)
  }
}

/** The task's branch at the forge; null before it was pushed. */
export async function branchOf({ world }: Pair): Promise<{ name: string; head: string } | null> {
  const refs = await world.git('for-each-ref', '--format=%(refname:lstrip=2) %(objectname)', 'refs/heads/orch')
  const [name, head] = refs.split('\n')[0]?.split(' ') ?? []
  return name && head ? { name, head } : null
}

export async function taskOf({ world }: Pair): Promise<TaskView> {
  return world.task(`${PREFIX}-1`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
