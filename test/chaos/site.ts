// The place of a chaos run: a world of the acceptance suite whose agents work for seconds, its ORCH_HOME on a file
// system that can be filled where this machine lets us mount one, and a janitor should the test itself be killed.

import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type World, agentCommand, makeWorld } from '../acceptance/harness.ts'

const AGENT = join(import.meta.dirname, 'agents', 'labourer.mjs')
const JANITOR = join(import.meta.dirname, 'janitor.ts')
/** A slot for each task there may be. */
const SLOTS = 400

const FILES: Record<string, string> = {
  '.gitignore': 'deps/\n',
  'setup.sh': 'mkdir -p deps && echo ready > deps/ready\n',
  'slots.txt': Array.from({ length: SLOTS }, (_, n) => `slot ${n + 1}\n${n + 1}.1\n${n + 1}.2\n${n + 1}.3\n`).join(''),
  'test/deps.sh': '[ "$(cat deps/ready)" = ready ] || { echo "FAIL: setup did not run"; exit 1; }\n',
  'test/slots.sh': `[ "$(grep -cE '^slot [0-9]+( taken)?$' slots.txt)" = ${SLOTS} ] || { echo "FAIL: slots are missing"; exit 1; }\n`,
}
const CONFIG = 'setup: ["sh setup.sh"]\nlimits: { parallel: 3 }'

/** What a phase does to the world around Orch, and undoes. */
export interface Weather {
  refusePushes(): void
  takePushes(): void
  hideRemote(): void
  showRemote(): void
  fillDisk(): void
  freeDisk(): void
}

export interface Site {
  world: World
  weather: Weather
  /** Adds the task of a number; what its agent makes follows from it. */
  add(number: number): Promise<string>
  close(): Promise<void>
}

/** True where this user may mount a small file system: without one no disk can be filled. */
export function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' })
    return process.getuid?.() === 0
  } catch {
    return false
  }
}

/** Makes the site; `smallDisk` bounds ORCH_HOME, so that it can be filled. */
export async function makeSite(options: { env?: Record<string, string>; smallDisk?: boolean } = {}): Promise<Site> {
  const env = { ...options.env, ORCH_AGENTS_COMMAND_COMMAND: agentCommand(AGENT) }
  const world = await makeWorld({ config: CONFIG, files: FILES, env, init: false })
  const dismiss = callJanitor(world)
  const mounted = options.smallDisk === true
  mkdirSync(world.home)
  if (mounted) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'none', world.home])
  await world.ok(['init', '--yes', '--prefix', 'T'])
  const weather = makeWeather(world)
  return {
    world,
    weather,
    add: (number) => world.add(`Part ${number}`, `labour: ${number}`),
    async close() {
      weather.freeDisk()
      if (mounted) execFileSync('umount', ['--lazy', world.home])
      try {
        await world.close()
      } finally {
        dismiss()
      }
    },
  }
}

function callJanitor({ dir, home }: World): () => void {
  const janitor = spawn(process.execPath, [JANITOR], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env['PATH'] },
    cwd: '/',
  })
  janitor.unref()
  janitor.stdin.on('error', () => undefined)
  janitor.stdin.write(`${JSON.stringify({ dir, home })}\n`)
  return () => janitor.stdin.end('done\n')
}

function makeWeather(world: World): Weather {
  const hooks = join(world.remote, 'hooks')
  const hook = join(hooks, 'pre-receive')
  const away = `${world.remote}.away`
  const filler = join(world.home, 'filler')
  return {
    refusePushes() {
      mkdirSync(hooks, { recursive: true })
      // Whole at once: a hook half written would be a trouble nobody meant.
      writeFileSync(`${hook}.new`, '#!/bin/sh\necho "no pushes now" >&2\nexit 1\n')
      chmodSync(`${hook}.new`, 0o755)
      renameSync(`${hook}.new`, hook)
    },
    takePushes: () => rmSync(hook, { force: true }),
    hideRemote: () => renameSync(world.remote, away),
    showRemote: () => renameSync(away, world.remote),
    fillDisk() {
      try {
        for (let bytes = 1 << 20; ;) {
          try {
            appendFileSync(filler, Buffer.alloc(bytes))
          } catch (error) {
            if (bytes === 4_096) throw error
            bytes = 4_096
          }
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    freeDisk: () => rmSync(filler, { force: true }),
  }
}
