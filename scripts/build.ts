// Builds dist for the package: main, with what only some verbs need in chunks that load late, and the small programs.
// The same sources give the same bytes. Packages stay outside: npm installs them.

import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { type OutputChunk, type RolldownBuild, rolldown } from 'rolldown'
import { commandTable } from './command-table.ts'
import { writeManPages } from './man-pages.ts'

const MAIN = { main: 'src/main.ts' }
/** Single files: a sandbox shows them to a run alone, and a run outlives an upgrade that replaces what is around them. */
const ALONE = {
  supervisor: 'src/agents/supervisor.ts',
  'scripted-agent': 'src/agents/scripted-agent.ts',
  'acp-agent': 'src/agents/acp-agent.ts',
}
/** What a plain `orch status` loads. It is one file: each further one costs its start about half a millisecond. */
const LOOKING = ['src/surfaces/cli/cli.ts', 'src/surfaces/cli/status.ts', 'src/open-reader.ts']

/** Builds the tree at `root` into `outDir`, which is emptied first. Gives the files written; throws a sentence. */
export async function buildPackage(root: string, outDir: string): Promise<string[]> {
  const missing = Object.values({ ...MAIN, ...ALONE }).filter((source) => !existsSync(join(root, source)))
  if (missing.length > 0) throw new Error(`build: no such entry: ${missing.join(', ')}; nothing was written`)
  rmSync(outDir, { recursive: true, force: true })
  const looking = new Set<string>()
  const main = await open(root, {
    input: MAIN,
    onGraph: (imports) =>
      collect(
        imports,
        looking,
        LOOKING.map((file) => join(root, file)),
      ),
  })
  const written = await write(main, outDir, { groups: [{ name: 'look', test: (id) => looking.has(id) }] })
  for (const [name, input] of Object.entries(ALONE)) {
    written.push(...(await write(await open(root, { input: { [name]: input } }), outDir, false)))
  }
  refuseLostPlaces(
    root,
    written.flatMap((chunk) => chunk.moduleIds.filter((id) => id !== FS).map((id) => relative(root, id))),
  )
  return written.map((chunk) => join(relative(root, outDir), chunk.fileName)).toSorted()
}

type Imports = (id: string) => readonly string[]

/** Adds the files and all they import, whatever is imported late left out. */
function collect(imports: Imports, into: Set<string>, files: readonly string[]): void {
  for (const file of files) {
    if (into.has(file)) continue
    into.add(file)
    collect(imports, into, imports(file))
  }
}

function open(
  root: string,
  options: { input: Record<string, string>; onGraph?: (imports: Imports) => void },
): Promise<RolldownBuild> {
  return rolldown({
    cwd: root,
    input: options.input,
    platform: 'node',
    // Packages stay outside: npm installs them.
    external: (id) => id !== FS && id !== 'node:fs' && !id.startsWith('.') && !isAbsolute(id) && !id.startsWith('src/'),
    logLevel: 'silent',
    plugins: [
      builtinFs(root),
      {
        name: 'graph',
        buildEnd(error) {
          if (!error) options.onGraph?.((id) => this.getModuleInfo(id)?.importedIds ?? [])
        },
      },
    ],
  })
}

const FS = '\0node:fs'

/**
 * An ECMAScript import of `node:fs` reads every property of it, getters included, and so loads streams, readline and
 * fs/promises: about 3 ms of each start. Taking it as the object it is leaves them alone.
 */
function builtinFs(root: string) {
  const names = new Set<string>()
  for (const file of globSync('src/**/*.ts', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, list = ''] of text.matchAll(/^import \{([^}]*)\} from 'node:fs'$/gm)) {
      for (const name of list.split(',').map((word) => word.trim())) if (/^\w+$/.test(name)) names.add(name)
    }
  }
  return {
    name: 'builtin-fs',
    resolveId: (id: string) => (id === 'node:fs' ? FS : null),
    load: (id: string) =>
      id === FS ? `export const { ${[...names].toSorted().join(', ')} } = process.getBuiltinModule('node:fs')` : null,
  }
}

async function write(
  bundle: RolldownBuild,
  dir: string,
  codeSplitting: false | { groups: { name: string; test: (id: string) => boolean }[] },
): Promise<OutputChunk[]> {
  // Chunks lie beside main, so that what lies directly in src finds the package's files from dist just so.
  const { output } = await bundle.write({
    dir,
    format: 'esm',
    // Names and lines stay: a stack in the log has to say where it was.
    minify: { compress: true, mangle: false, codegen: false },
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting,
  })
  await bundle.close()
  return output.filter((file) => file.type === 'chunk')
}

/**
 * A module's place in dist is not its place in src, so a path counted from `import.meta` would lead elsewhere.
 * What lies directly in src is as deep as dist; it hands paths to who needs them.
 */
function refuseLostPlaces(root: string, inputs: string[]): void {
  const lost = inputs.filter((input) => {
    return (
      !/^src\/[^/]+$/.test(input) &&
      /\bimport\.meta\.(url|dirname|filename)\b/.test(readFileSync(join(root, input), 'utf8'))
    )
  })
  if (lost.length === 0) return
  throw new Error(
    `build: import.meta leads elsewhere in dist: ${lost.join(', ')}; take the path from a module directly in src`,
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string' } } })
  const root = join(import.meta.dirname, '..')
  try {
    const out = values.out ?? join(root, 'dist')
    const files = await buildPackage(root, out)
    console.log(`${files.length} files: ${files.join(' ')}`)
    writeFileSync(join(out, 'commands.json'), JSON.stringify(await commandTable()))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const pages = await writeManPages(join(out, 'man'), version)
    console.log(`${pages.length} manual pages in ${join(relative(root, out), 'man')}`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}

if (import.meta.main) await main()
