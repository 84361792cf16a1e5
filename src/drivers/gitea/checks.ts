// CI at Gitea: commit statuses, which its own Actions report as well. What a failed job of Actions logged is fetched where
// the server has an API for it (1.23 has none); of others it is what the status says of itself.

import { ExternalError } from '../../lib/errors.ts'
import type { Check, Checks } from '../driver.ts'
import type { Api } from './connection.ts'
import { sha as shaSchema } from '../answers.ts'
import { status, type WireStatus, workflowJob, workflowRun } from './wire.ts'

/** As the contract says. */
const MAX_TEXT_BYTES = 8 << 10
/** What a job writes after its failure (clean-up) follows it; this much of the end holds the failure even so. */
const LOG_TAIL_BYTES = 64 << 10
/** More failed jobs than that tell nobody more, and each log is a download. */
const MAX_LOGS = 10

/** A warning is no success to Gitea's own branch protection either. */
const STATES: Record<string, Check['state']> = {
  success: 'passed',
  pending: 'pending',
  skipped: 'skipped',
  error: 'failed',
  failure: 'failed',
  warning: 'failed',
}

export async function checksOf(api: Api, sha: string): Promise<Checks> {
  if (!shaSchema.safeParse(sha).success) return { state: 'none', checks: [] }
  const doing = `read the checks of ${api.ref}@${sha.slice(0, 12)}`
  const { items } = await api.list({
    path: `/commits/${sha}/status`,
    doing,
    schema: status,
    field: 'statuses',
    key: ({ context }) => context,
  })
  const failed = items.filter((wire) => stateOf(wire) === 'failed')
  const logs = await readLogs(api, sha, failed)
  const checks = items.map((wire): Check => {
    const state = stateOf(wire)
    const said = logs.get(wire.context) ?? wire.description
    return { name: wire.context, state, url: pageOf(api, wire), text: state === 'failed' ? endOf(said) : null }
  })
  return { state: overall(checks), checks }
}

/** What it does not know yet has not come to its end. */
function stateOf(wire: WireStatus): Check['state'] {
  return STATES[wire.status.toLowerCase()] ?? 'pending'
}

function overall(checks: readonly Check[]): Checks['state'] {
  if (checks.length === 0) return 'none'
  if (checks.some(({ state }) => state === 'failed')) return 'failed'
  return checks.some(({ state }) => state === 'pending') ? 'pending' : 'passed'
}

/** Those of Gitea's own Actions come without the server. */
function pageOf(api: Api, { target_url: url }: WireStatus): string | null {
  return url && URL.canParse(url, api.url) ? new URL(url, api.url).href : null
}

/** A job's page, such as `/shop/web/actions/runs/7/jobs/0`: all that its status knows of it. */
function jobPage(url: string | null | undefined): string | null {
  return /\/[^/]+\/[^/]+\/actions\/runs\/\d+\/jobs\/\d+$/.exec(url ?? '')?.[0]?.toLowerCase() ?? null
}

/** Ends of logs by the context of their status. Where they can't be had, the verdicts stand without them. */
async function readLogs(api: Api, sha: string, failed: readonly WireStatus[]): Promise<Map<string, string>> {
  const logs = new Map<string, string>()
  const wanted = failed.filter(({ target_url: url }) => jobPage(url) !== null).slice(0, MAX_LOGS)
  if (wanted.length === 0) return logs
  try {
    const jobs = await jobsOf(api, sha)
    for (const { context, target_url: url } of wanted) {
      const job = jobs.get(jobPage(url) ?? '')
      const log = job === undefined ? null : await readLog(api, job)
      if (log !== null) logs.set(context, log)
    }
  } catch (error) {
    if (!(error instanceof ExternalError) || error.kind === 'rate-limited') throw error
  }
  return logs
}

/** Ids of the commit's jobs by their pages; none where the server is too old to tell. */
async function jobsOf(api: Api, sha: string): Promise<Map<string, number>> {
  const doing = `find the jobs of ${api.ref}@${sha.slice(0, 12)}`
  const runs = await api.list({
    path: `/actions/runs?head_sha=${sha}`,
    doing,
    schema: workflowRun,
    field: 'workflow_runs',
    key: ({ id }) => id,
    absent: [404, 405],
  })
  const jobs = new Map<string, number>()
  for (const run of runs.items) {
    const found = await api.list({
      path: `/actions/runs/${run.id}/jobs`,
      doing,
      schema: workflowJob,
      field: 'jobs',
      key: ({ id }) => id,
    })
    for (const { id, html_url: url } of found.items) jobs.set(jobPage(url) ?? '', id)
  }
  return jobs
}

async function readLog(api: Api, job: number): Promise<string | null> {
  const doing = `read the log of job ${job} of ${api.ref}`
  const path = `/actions/jobs/${job}/logs`
  const { status: code, json } = await api.call({ path, doing, accept: [404], tailBytes: LOG_TAIL_BYTES })
  return code === 200 && typeof json === 'string' && json.trim() !== '' ? plain(json) : null
}

/** Without times and colours, up to the last error that the runner marked: after it, it only cleans up. */
function plain(log: string): string {
  const lines = log
    .split(/\r?\n/)
    .map((line) => line.replace(/^\uFEFF?\d{4}-\d\d-\d\dT[\d:.]+Z /, '').replaceAll(/\u001B\[[\d;]*[A-Za-z]/g, ''))
  const last = lines.findLastIndex((line) => line.startsWith('##[error]') || line.startsWith('::error'))
  return (last === -1 ? lines : lines.slice(0, last + 1)).join('\n').trimEnd()
}

function endOf(text: string): string | null {
  const bytes = Buffer.from(text)
  if (bytes.byteLength <= MAX_TEXT_BYTES) return text === '' ? null : text
  // A letter that was cut in half decodes to the sign of a broken one, three bytes long.
  return bytes
    .subarray(-MAX_TEXT_BYTES)
    .toString('utf8')
    .replace(/^\uFFFD+/, '')
}
