// What an agent that asks is allowed, and the mode in which it works. Where Orch's sandbox is around it, that is what
// holds it, so it may do what it likes; without one it gets edits and commands in the places of its run, and no more.

import { resolve, sep } from 'node:path'
import { asObject, asObjects, asText, type JsonObject } from './json-fields.ts'

export interface AcpLeave {
  sandboxed: boolean
  /** The workspace. */
  cwd: string
  /** Where the run may write. */
  places: readonly string[]
}

export interface Decision {
  allowed: boolean
  /** Of the options the agent offered; null: it offered none that fits, so the question counts as cancelled. */
  optionId: string | null
  why: string
}

/** The kinds of work that a run without a sandbox of ours is for. */
const KINDS = new Set(['read', 'edit', 'delete', 'move', 'search', 'execute', 'think'])

/** Answers a permission request. An option that holds for ever is taken only where there is none for once. */
export function decide(request: JsonObject, leave: AcpLeave): Decision {
  const call = asObject(request['toolCall']) ?? {}
  const refusal = leave.sandboxed ? null : refusalOf(call, leave)
  const kinds = refusal === null ? ['allow_once', 'allow_always'] : ['reject_once', 'reject_always']
  const options = asObjects(request['options'])
  const option = kinds.map((kind) => options.find((one) => one['kind'] === kind)).find((one) => one !== undefined)
  const optionId = asText(option?.['optionId'])
  return { allowed: refusal === null && optionId !== null, optionId, why: refusal ?? allowance(leave, optionId) }
}

function allowance(leave: AcpLeave, optionId: string | null): string {
  if (optionId === null) return 'the agent offered no way to allow it'
  return leave.sandboxed ? "Orch's sandbox holds it" : 'it is work in the places of its run'
}

/** Why it may not, or null. */
function refusalOf(call: JsonObject, { cwd, places }: AcpLeave): string | null {
  const kind = asText(call['kind']) ?? 'other'
  if (!KINDS.has(kind)) return `without a sandbox a run may edit and run commands in its workspace; this is "${kind}"`
  const paths = asObjects(call['locations']).map((location) => asText(location['path']))
  const outside = paths.find((path) => path !== null && !places.some((place) => isInside(place, resolve(cwd, path))))
  return outside === undefined || outside === null ? null : `${outside} is outside of the places of its run`
}

function isInside(place: string, path: string): boolean {
  return path === place || path.startsWith(place.endsWith(sep) ? place : place + sep)
}

/** A way of working that an agent offers. */
export interface AcpMode {
  id: string
  name: string
}

const READ_ONLY = /read.?only|plan|architect|^ask$/i
/** Modes with which an agent lifts its own sandbox and questions; codex-acp's own sandbox keeps it from committing. */
const FULL = /full.?access|danger/i
const WRITING = /auto|edit|write|code|build|agent|default/i

/** The mode to set, or null to leave the agent in its own. */
export function chooseMode(modes: AcpMode[], current: string | null, sandboxed: boolean): AcpMode | null {
  const says = (pattern: RegExp, { id, name }: AcpMode): boolean => pattern.test(id) || pattern.test(name)
  const full = sandboxed ? modes.find((mode) => says(FULL, mode)) : undefined
  if (full) return full.id === current ? null : full
  const now = modes.find((mode) => mode.id === current)
  if (!now || !says(READ_ONLY, now)) return null
  const others = modes.filter((mode) => !says(READ_ONLY, mode) && !says(FULL, mode))
  return others.find((mode) => says(WRITING, mode)) ?? others[0] ?? null
}
