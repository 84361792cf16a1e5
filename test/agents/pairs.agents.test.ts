// From an issue at GitHub to its merge with the real Claude Code CLI, whose model is scripted: what CI and a reviewer said
// comes back to it in the session in which it wrote the change.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Pair, openPair } from '../acceptance/vendors/pair.ts'
import { wholeRun } from '../acceptance/vendors/whole-run.ts'
import { ensureInstalled } from './install.ts'
import { madeFirst } from './made-first.ts'
import { type ModelServer, startModelServer } from './model-server.ts'
import { claude } from './subjects/claude.ts'

const installed = madeFirst(ensureInstalled)
let pair: Pair | null = null
let server: ModelServer | null = null
afterEach(async () => {
  await pair?.close()
  await server?.stop()
})

/** A step for each attempt; the second and the third fail where they were not told why they are there. */
const SCRIPT = `develop:
  - - bash: "echo ok > parts/SHOP-1 && git add . && git commit -qm 'Add a part'"
  - - bash: "mkdir -p docs && echo '# SHOP-1' > docs/SHOP-1.md && git add . && git commit -qm 'Add its page'"
  - - bash: "printf '\\\\nIt has SHOP-1.\\\\n' >> README.md && git commit -qam 'Name it'"`

test('GitHub with GitHub', async () => {
  server = await startModelServer(installed().aimock)
  pair = await openPair({
    tracker: 'github',
    forge: 'github',
    method: 'merge',
    agents: `agents: { developer: { agent: claude }, claude: { bin: ${installed().claude} } }`,
  })
  const { world } = pair
  Object.assign(world.env, claude.env({ url: server.url, home: `${world.dir}/user` }))
  const live = await pair.up()
  await wholeRun(pair, {
    title: 'Add a part',
    body: `The shop needs one more part.\n\n\`\`\`model-script\n${SCRIPT}\n\`\`\`\n`,
    costUsd: null,
  })
  const { runs } = await world.task('SHOP-1')
  const prompts = runs.map(({ id }) => readFileSync(join(world.home, 'runs', id, 'prompt.md'), 'utf8'))
  expect(prompts[1]).toContain('docs/SHOP-1.md is missing')
  expect(prompts[2]).toContain('mia wrote:\nPlease name SHOP-1 in the README')
  expect(prompts[2]).toContain('review README.md:1')
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})
