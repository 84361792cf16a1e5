// CI at GitHub as one list: check runs, commit statuses, and workflows that have no check run yet. What a failed job of
// Actions logged is fetched; of other checks it is what they say of themselves.

import { ExternalError } from '../../lib/errors.ts'
import type { Check, Checks } from '../driver.ts'
import type { Api } from './connection.ts'
import { checkRun, status, type WireCheckRun, workflowRun } from './wire.ts'

/** As the contract says. */
const MAX_TEXT_BYTES = 8 << 10
/** What a job writes after its failure (clean-up) is cut away; this much of the end holds the failure even so. */
const LOG_TAIL_BYTES = 256 << 10
/** More failed jobs than that tell nobody more, and each log is a download. */
const MAX_LOGS = 10

const SKIPPED = ['neutral', 'skipped']
/** A workflow that has come to its end has check runs, but for these: nothing of it ran. */
const NEVER_RAN = ['startup_failure', 'failure']

export async function checksOf(api: Api, sha: string): Promise<Checks> {
  if (!/^[0-9a-f]{40,64}$/.test(sha)) return { state: 'none', checks: [] }
  const doing = `read the checks of ${api.ref}@${sha.slice(0, 12)}`
  const runs = await api.list({
    path: `/commits/${sha}/check-runs`,
    doing,
    schema: checkRun,
    field: 'check_runs',
    key: ({ id }) => id,
  })
  const statuses = await api.list({
    path: `/commits/${sha}/status`,
    doing,
    schema: status,
    field: 'statuses',
    key: ({ context }) => context,
  })
  const workflows = await api.list({
    path: `/actions/runs?head_sha=${sha}`,
    doing,
    schema: workflowRun,
    field: 'workflow_runs',
    key: ({ id }) => id,
  })
  const checks: Check[] = []
  let logs = 0
  for (const run of runs.items) {
    const state = stateOf(run.status, run.conclusion)
    const text = state === 'failed' ? await textOf(api, run, (logs += 1) <= MAX_LOGS) : null
    checks.push({ name: run.name, state, url: run.html_url ?? run.details_url ?? null, text })
  }
  for (const { context, state, description, target_url: url } of statuses.items) {
    const read = state === 'success' ? 'passed' : state === 'pending' ? 'pending' : 'failed'
    checks.push({ name: context, state: read, url: url ?? null, text: read === 'failed' ? endOf(description) : null })
  }
  const seen = new Set(runs.items.map(({ check_suite: suite }) => suite?.id))
  for (const run of workflows.items) {
    if (seen.has(run.check_suite_id ?? -1)) continue
    const state = stateOf(run.status ?? '', run.conclusion)
    if (state !== 'pending' && !NEVER_RAN.includes(run.conclusion ?? '')) continue
    checks.push({ name: run.name ?? `workflow run ${run.id}`, state, url: run.html_url ?? null, text: null })
  }
  return { state: overall(checks), checks }
}

function stateOf(at: string, conclusion: string | null | undefined): Check['state'] {
  // What waits for a person (a first contributor's run, a deployment's approval) is not red.
  if (at !== 'completed' || !conclusion || conclusion === 'action_required') return 'pending'
  if (conclusion === 'success') return 'passed'
  return SKIPPED.includes(conclusion) ? 'skipped' : 'failed'
}

function overall(checks: readonly Check[]): Checks['state'] {
  if (checks.length === 0) return 'none'
  if (checks.some(({ state }) => state === 'failed')) return 'failed'
  return checks.some(({ state }) => state === 'pending') ? 'pending' : 'passed'
}

async function textOf(api: Api, run: WireCheckRun, withLog: boolean): Promise<string | null> {
  const log = withLog && run.app?.slug === 'github-actions' ? await readLog(api, run.id) : null
  if (log !== null) return endOf(failureIn(log))
  const { title = '', summary = '', text = '' } = run.output ?? {}
  const said = [title, summary, text].filter((part) => part !== '').join('\n\n')
  return said === '' ? null : endOf(said)
}

/** A check run of Actions has the id of its job. Null where there is no log (any more): the verdict stands without it. */
async function readLog(api: Api, job: number): Promise<string | null> {
  try {
    const doing = `read the log of job ${job} of ${api.ref}`
    const { json } = await api.call({ path: `/actions/jobs/${job}/logs`, doing, tailBytes: LOG_TAIL_BYTES })
    return typeof json === 'string' && json.trim() !== '' ? json : null
  } catch (error) {
    if (error instanceof ExternalError && error.kind !== 'rate-limited') return null
    throw error
  }
}

/** Without times and colours, up to the last error that Actions marked: after it, it only cleans up. */
export function failureIn(log: string): string {
  const lines = log
    .split(/\r?\n/)
    .map((line) => line.replace(/^\uFEFF?\d{4}-\d\d-\d\dT[\d:.]+Z /, '').replaceAll(/\u001B\[[\d;]*[A-Za-z]/g, ''))
  const last = lines.findLastIndex((line) => line.startsWith('##[error]'))
  return (last === -1 ? lines : lines.slice(0, last + 1)).join('\n').trimEnd()
}

function endOf(text: string): string | null {
  const bytes = Buffer.from(text)
  if (bytes.byteLength <= MAX_TEXT_BYTES) return text === '' ? null : text
  // A letter that was cut in half decodes to the sign of a broken one, three bytes long.
  const end = bytes.subarray(-MAX_TEXT_BYTES).toString('utf8')
  return end.replace(/^\uFFFD+/, '')
}
