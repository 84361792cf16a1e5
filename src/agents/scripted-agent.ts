// The scripted agent: a program of its own that does what the task's ```script block says. No model, no network.
// It speaks JSON lines: start, say, tool, usage, error, end (read back by scripted.ts); a run without `end` did not finish.

import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { runProcess, sleep } from '../lib/process.ts'
import { type Header, readHeader, readScript, type Step } from './scripted-script.ts'

const COMMAND_LIMIT_MS = 30 * 60_000
/** What each step is said to have used, so that accounting has something to show. */
const STEP_USAGE = { input: 400, output: 80, cacheRead: 1_200, cacheWrite: 0 }

function say(line: Record<string, unknown>): void {
  // Synchronous: what was said before a crash is in the log.
  writeSync(1, `${JSON.stringify(line)}\n`)
}

function fail(text: string, exitCode: number): never {
  say({ type: 'error', code: 'crash', text })
  console.error(text)
  process.exit(exitCode)
}

async function run(argv: [string, ...string[]], header: Header): Promise<{ ok: boolean; output: string }> {
  const inherited = Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  const env = { ...(Object.fromEntries(inherited) as Record<string, string>), ORCH_HANDOFF: header.handoff }
  const result = await runProcess({ argv, env, timeoutMs: COMMAND_LIMIT_MS })
  const output = `${result.stdout}${result.stderr}`.trim()
  return { ok: result.outcome === 'exited' && result.exitCode === 0, output }
}

/** Runs a command as a tool; its failure is the agent's. */
async function tool(name: string, argv: [string, ...string[]], header: Header): Promise<void> {
  const detail = argv.at(-1) ?? name
  say({ type: 'tool', name, detail, state: 'started' })
  const { ok, output } = await run(argv, header)
  say({ type: 'tool', name, detail: output.slice(-2_000), state: ok ? 'ok' : 'failed' })
  if (!ok) fail(`${name} failed: ${detail}: ${output.slice(-500)}`, 1)
}

function changeFile(name: 'write' | 'append' | 'delete', path: string, content: string): void {
  const target = resolve(path)
  say({ type: 'tool', name, detail: path, state: 'started' })
  try {
    if (name === 'delete') {
      rmSync(target, { recursive: true })
    } else {
      mkdirSync(dirname(target), { recursive: true })
      if (name === 'write') writeFileSync(target, content)
      else appendFileSync(target, content)
    }
  } catch (error) {
    say({ type: 'tool', name, detail: String(error), state: 'failed' })
    fail(`${name} ${path} failed: ${String(error)}`, 1)
  }
  say({ type: 'tool', name, detail: path, state: 'ok' })
}

async function writeHandoff(keys: Record<string, unknown>, header: Header): Promise<void> {
  const path = join(header.handoff, 'handoff.md')
  if (typeof keys['raw'] === 'string') {
    writeFileSync(path, keys['raw'])
    return
  }
  const { prose, ...front } = keys
  if ('verdict' in front && !('sha' in front)) front['sha'] = (await run(['git', 'rev-parse', 'HEAD'], header)).output
  writeFileSync(
    path,
    `---\n${stringify(front)}---\n${typeof prose === 'string' ? prose : 'Written by the scripted agent.'}\n`,
  )
}

function defaultHandoff(header: Header): Record<string, unknown> {
  if (header.role === 'reviewer') return { verdict: 'approve', findings: [] }
  return { status: 'done', summary: `${header.stage} of ${header.task}, attempt ${header.attempt}`, tests: [] }
}

function flood(bytes: number): void {
  const line = `${JSON.stringify({ type: 'say', text: 'x'.repeat(65_000) })}\n`
  for (let written = 0; written < bytes; written += line.length) writeSync(1, line)
}

async function hang(how: true | 'deaf'): Promise<never> {
  if (how === 'deaf') process.on('SIGTERM', () => undefined)
  for (;;) await sleep(60_000)
}

/** Does one step. True when it wrote, or forbids, the handoff. */
async function take(step: Step, header: Header): Promise<boolean> {
  if ('write' in step) changeFile('write', step.write.path, step.write.content)
  else if ('append' in step) changeFile('append', step.append.path, step.append.content)
  else if ('delete' in step) changeFile('delete', step.delete, '')
  else if ('run' in step) await tool('run', ['sh', '-c', step.run], header)
  else if ('commit' in step) {
    await tool('commit', ['git', 'add', '-A'], header)
    await tool('commit', ['git', 'commit', '--quiet', '-m', step.commit], header)
  } else if ('say' in step) say({ type: 'say', text: step.say })
  else if ('sleep' in step) await sleep(step.sleep * 1_000)
  else if ('handoff' in step) await writeHandoff(step.handoff, header)
  else if ('exit' in step) process.exit(step.exit)
  else if ('crash' in step) process.kill(process.pid, 'SIGKILL')
  else if ('hang' in step) await hang(step.hang)
  else if ('flood' in step) flood(step.flood)
  else if ('invalid-json' in step) {
    writeSync(1, '{"type":"say","text":"this line has no e\n')
    process.exit(0)
  } else if ('error' in step) {
    say({ type: 'error', text: `the script says: ${step.error.code}`, ...step.error })
    process.exit(1)
  }
  return 'handoff' in step || 'no-handoff' in step
}

function argument(name: string): string | null {
  const at = process.argv.indexOf(name)
  return at < 0 ? null : (process.argv[at + 1] ?? null)
}

async function main(): Promise<void> {
  const prompt = readFileSync(0, 'utf8')
  say({ type: 'start', session: argument('--resume') ?? randomUUID(), model: argument('--model') ?? 'scripted' })
  const header = readHeader(prompt)
  if (!header) fail('the prompt does not begin with the five Orch- header lines', 2)
  const script = readScript(prompt, header)
  if (!script.ok) fail(script.problem, 2)
  if (!script.scripted) say({ type: 'say', text: `nothing is scripted for stage ${header.stage}` })
  let handedOff = false
  for (const step of script.steps) {
    say({ type: 'usage', ...STEP_USAGE, costUsd: 0 })
    handedOff = (await take(step, header)) || handedOff
  }
  if (!handedOff) await writeHandoff(defaultHandoff(header), header)
  say({ type: 'end' })
}

await main()
