// Installs the pinned real agent CLIs and the scripted model server, outside the repository's own dependencies:
// they are large and only `npm run test:agents` needs them. Run alone: node test/agents/install.ts [FOLDER]

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../../src/lib/process.ts'

export const PINNED = {
  '@anthropic-ai/claude-code': '2.1.329',
  '@openai/codex': '0.169.0',
  'opencode-ai': '1.18.33',
  '@google/gemini-cli': '0.61.0',
  '@copilotkit/aimock': '1.43.0',
} as const
const INSTALL_LIMIT_MS = 10 * 60_000

export interface Installed {
  /** The real CLIs, as npm links them. */
  claude: string
  codex: string
  opencode: string
  gemini: string
  /** Module of the scripted model server's library. */
  aimock: string
}

const DEFAULT_FOLDER = fileURLToPath(new URL('../../node_modules/.cache/orch-agents', import.meta.url))

/** Installs what is missing and gives where it is. Idempotent. `TEST_AGENTS_DIR` moves it. */
export async function ensureInstalled(
  folder: string = process.env['TEST_AGENTS_DIR'] || DEFAULT_FOLDER,
): Promise<Installed> {
  const missing = Object.entries(PINNED).filter(([name, version]) => versionIn(folder, name) !== version)
  if (missing.length > 0) {
    mkdirSync(folder, { recursive: true })
    const wanted = Object.entries(PINNED).map(([name, version]) => `${name}@${version}`)
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    const argv = ['npm', 'install', '--prefix', folder, '--no-audit', '--no-fund', '--no-save', ...wanted] as [
      string,
      ...string[],
    ]
    const result = await runProcess({ argv, cwd: folder, env, timeoutMs: INSTALL_LIMIT_MS })
    if (result.exitCode !== 0)
      throw new Error(`npm could not install ${wanted.join(' ')} into ${folder}: ${result.stderr.slice(-2_000)}`)
  }
  const modules = join(folder, 'node_modules')
  const claude = join(modules, '@anthropic-ai/claude-code/bin/claude.exe')
  // Where install scripts are off the launcher is a stub; the program itself is in the platform's own package.
  const platform = `${process.platform}-${process.arch}`
  const own = join(modules, `@anthropic-ai/claude-code-${platform}/claude`)
  const bin = (name: string): string => join(modules, '.bin', name)
  return {
    claude: existsSync(own) ? own : claude,
    codex: bin('codex'),
    opencode: bin('opencode'),
    gemini: bin('gemini'),
    aimock: join(modules, '@copilotkit/aimock/dist/index.js'),
  }
}

function versionIn(folder: string, name: string): string | null {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
    return manifest && typeof manifest === 'object' && 'version' in manifest ? String(manifest.version) : null
  } catch {
    return null
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(await ensureInstalled(process.argv[2]))
}
