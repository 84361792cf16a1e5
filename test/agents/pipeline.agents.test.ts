// A person's other circumstances, with the real Claude Code CLI through the whole pipeline.

import { afterEach, test } from 'vitest'
import { ensureInstalled } from './install.ts'
import { madeFirst } from './made-first.ts'
import { successIn } from './pipeline-matrix.ts'
import { type AgentWorld, makeAgentWorld } from './pipeline-world.ts'
import type { Subject } from './subject.ts'
import { claude } from './subjects/claude.ts'

const installed = madeFirst(ensureInstalled)
let world: AgentWorld
afterEach(() => world?.close())

/** The login file as `claude` itself writes it; the token means something to the scripted model only. */
const LOGIN = {
  claudeAiOauth: {
    accessToken: 'sk-ant-oat01-scripted',
    refreshToken: 'sk-ant-ort01-scripted',
    expiresAt: Date.parse('2100-01-01'),
    scopes: ['user:inference', 'user:profile'],
    subscriptionType: 'max',
  },
}

const withoutKey: Subject = {
  ...claude,
  env: (place) => {
    const { ANTHROPIC_API_KEY: _, ...rest } = claude.env(place)
    return rest
  },
  homeFiles: () => ({ '.claude/.credentials.json': JSON.stringify(LOGIN) }),
}

test('success with no sandbox', async () => {
  world = await makeAgentWorld({ installed: installed(), subject: claude, env: { ORCH_SANDBOX: 'none' } })
  await successIn(world)
})

test('success with a login of its own instead of a key', async () => {
  world = await makeAgentWorld({ installed: installed(), subject: withoutKey })
  await successIn(world)
})
