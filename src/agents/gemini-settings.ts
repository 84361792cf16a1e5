// The settings Gemini CLI works by in a run, as files in the run's configuration directory.
// Invariant: of the person's own settings only those that choose the model and its limits come along: nothing that starts
// a program (hooks, MCP servers, extensions, tools of their own) or moves what the model sees.

import type { Effort } from '../core/policy.ts'
import { asNumber, asObject, type JsonObject } from './json-fields.ts'

/** Tries of one request. The CLI waits up to 5 minutes for each when a server asks for it; longer waits are Orch's. */
const MAX_ATTEMPTS = 3

/** Tokens a model that takes a budget may think for: what Google's OpenAI-compatible API gives each of these words. */
const THINKING_BUDGET: Record<Effort, number> = { low: 1_024, medium: 8_192, high: 24_576 }

/**
 * The command that hands over the prompt. The CLI expands every `@path` of a plain prompt into that file, or folder, and
 * looks through the whole workspace for what isn't there; text that comes with a command of one's own it leaves alone.
 */
export const PROMPT_COMMAND = 'orch-run'

interface RunSettings {
  /** How it logs in, by the CLI's name for it. */
  way: string | null
  model: string | null
  effort: Effort | null
  /** The person's own settings. */
  user: JsonObject
  /** Orch's own sandbox is around it: approvals are off. */
  sandboxed: boolean
}

/** Files below the configuration directory, whole. */
export function settingsFiles(request: RunSettings): { to: string; text: string }[] {
  const command = 'prompt = "What follows is the task; its first line only names the command that hands it over."\n'
  const shell = '[[rule]]\ntoolName = "run_shell_command"\ndecision = "allow"\npriority = 100\n'
  return [
    { to: '.gemini/settings.json', text: JSON.stringify(settings(request), null, 2) },
    { to: `.gemini/commands/${PROMPT_COMMAND}.toml`, text: command },
    ...(request.sandboxed ? [] : [{ to: '.gemini/policies/orch.toml', text: shell }]),
  ]
}

function settings({ way, model, effort, user }: RunSettings): JsonObject {
  const [general, context] = [asObject(user['general']) ?? {}, asObject(user['context']) ?? {}]
  const own = (from: JsonObject, names: string[]): JsonObject =>
    Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])))
  return {
    ...own(user, ['model', 'billing']),
    modelConfigs: modelConfigs(asObject(user['modelConfigs']) ?? {}, model, effort),
    general: {
      ...own(general, ['retryFetchErrors']),
      maxAttempts: asNumber(general['maxAttempts']) ?? MAX_ATTEMPTS,
      enableAutoUpdate: false,
      enableAutoUpdateNotification: false,
      // A session is kept as long as its task.
      sessionRetention: { enabled: false },
    },
    security: { auth: way === null ? {} : { selectedType: way } },
    // Its tools for files reach the workspace and what is named here; the handoff is written elsewhere.
    context: { ...own(context, ['fileName']), includeDirectories: ['${ORCH_HANDOFF:-.}'] },
    privacy: { usageStatisticsEnabled: false },
    telemetry: { enabled: false },
    ide: { enabled: false },
  }
}

/**
 * How hard models think is set in the two presets that all chat models the CLI knows build on: one takes a level, the
 * older one a budget. A model it doesn't know is made to build on one as well.
 */
function modelConfigs(user: JsonObject, model: string | null, effort: Effort | null): JsonObject {
  if (effort === null) return user
  const preset = (thinkingConfig: JsonObject): JsonObject => ({
    extends: 'chat-base',
    modelConfig: { generateContentConfig: { thinkingConfig } },
  })
  const older = model?.startsWith('gemini-2')
  const asked = { extends: older ? 'chat-base-2.5' : 'chat-base-3', modelConfig: { model } }
  return {
    ...user,
    customAliases: {
      'chat-base-3': preset({ thinkingLevel: effort.toUpperCase() }),
      'chat-base-2.5': preset({ thinkingBudget: THINKING_BUDGET[effort] }),
      ...(model && /^gemini-\d/.test(model) ? { [model]: asked } : {}),
      // A preset of the person's own is their word on it.
      ...asObject(user['customAliases']),
    },
  }
}
