import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { guessCommands } from './guess.ts'
import { renderConfig } from './render.ts'

/** A repository's root: names with their texts; an empty text for what is only there. */
function guess(files: Record<string, string>): ReturnType<typeof guessCommands> {
  return guessCommands({ list: Object.keys(files), read: (name) => files[name] ?? null })
}
const manifest = (scripts: Record<string, string>, more: object = {}): string => JSON.stringify({ scripts, ...more })
const TEST = { test: 'vitest run' }
const VENV = "python3 -m venv .venv && echo '*' > .venv/.gitignore"

describe('Node', () => {
  test.each<[string, Record<string, string>, string[], string[]]>([
    [
      'npm',
      {
        'package.json': manifest({ lint: 'eslint', test: 'jest', typecheck: 'tsc', build: 'x' }),
        'package-lock.json': '',
      },
      ['npm ci'],
      ['npm run typecheck', 'npm run lint', 'npm test'],
    ],
    [
      'npm without a lock file',
      { 'package.json': manifest(TEST, { devDependencies: { vitest: '1' } }) },
      ['npm install --no-package-lock'],
      ['npm test'],
    ],
    ['nothing to install', { 'package.json': manifest({ test: 'node --test' }) }, [], ['npm test']],
    [
      'pnpm',
      { 'package.json': manifest(TEST), 'pnpm-lock.yaml': '' },
      ['pnpm install --frozen-lockfile'],
      ['pnpm test'],
    ],
    ['yarn 1', { 'package.json': manifest(TEST), 'yarn.lock': '' }, ['yarn install --frozen-lockfile'], ['yarn test']],
    [
      'yarn 4',
      { 'package.json': manifest(TEST, { packageManager: 'yarn@4.1.0' }), 'yarn.lock': '' },
      ['yarn install --immutable'],
      ['yarn test'],
    ],
    ['bun', { 'package.json': manifest(TEST), 'bun.lock': '' }, ['bun install --frozen-lockfile'], ['bun run test']],
    [
      'packageManager alone',
      { 'package.json': manifest(TEST, { packageManager: 'pnpm@9.0.0', dependencies: { a: '1' } }) },
      ['pnpm install --no-lockfile'],
      ['pnpm test'],
    ],
    [
      "npm's own placeholder",
      { 'package.json': manifest({ test: 'echo "Error: no test specified" && exit 1' }), 'package-lock.json': '' },
      ['npm ci'],
      [],
    ],
    [
      'a script that watches',
      { 'package.json': manifest({ test: 'jest --watch', lint: 'eslint' }) },
      [],
      ['npm run lint'],
    ],
    ['a manifest that is no JSON', { 'package.json': '{' }, [], []],
    ['a manifest of another shape', { 'package.json': '{"scripts": ["test"], "dependencies": 3}' }, [], []],
  ])('%s', (_name, files, setup, verify) => {
    expect(guess(files)).toMatchObject({ setup, verify })
  })
})

describe('Python', () => {
  test.each<[string, Record<string, string>, string[], string[]]>([
    [
      'uv',
      { 'pyproject.toml': '[dependency-groups]\ndev = ["pytest"]', 'uv.lock': '' },
      ['uv sync --frozen'],
      ['uv run --frozen pytest'],
    ],
    [
      'poetry',
      { 'pyproject.toml': '[tool.pytest.ini_options]', 'poetry.lock': '' },
      ['poetry install --no-interaction'],
      ['poetry run pytest'],
    ],
    [
      'requirements',
      { 'requirements.txt': 'flask\npytest==8', 'requirements-dev.txt': '', 'app.py': '' },
      [VENV, '.venv/bin/python -m pip install -r requirements-dev.txt -r requirements.txt'],
      ['.venv/bin/python -m pytest'],
    ],
    [
      'requirements and unittest',
      { 'requirements.txt': 'flask', tests: '' },
      [VENV, '.venv/bin/python -m pip install -r requirements.txt'],
      ['.venv/bin/python -m unittest discover'],
    ],
    [
      'a package',
      { 'pyproject.toml': '[project]\nname="x"', 'conftest.py': '' },
      [VENV, '.venv/bin/python -m pip install -e . pytest'],
      ['.venv/bin/python -m pytest'],
    ],
    ['no dependency at all', { 'sums.py': '', 'test_sums.py': '' }, [], ['python3 -m unittest discover']],
    ['no tests', { 'requirements.txt': 'flask' }, [VENV, '.venv/bin/python -m pip install -r requirements.txt'], []],
  ])('%s', (_name, files, setup, verify) => {
    expect(guess(files)).toMatchObject({ setup, verify })
  })
})

describe('others', () => {
  test.each<[string, Record<string, string>, string[], string[]]>([
    ['Rust', { 'Cargo.toml': '', 'Cargo.lock': '' }, ['cargo fetch --locked'], ['cargo test --locked']],
    ['Go', { 'go.mod': '' }, ['go mod download'], ['go vet ./...', 'go test ./...']],
    ['Maven', { 'pom.xml': '', mvnw: '' }, [], ['./mvnw --batch-mode verify']],
    ['Gradle', { 'build.gradle.kts': '' }, [], ['gradle --no-daemon check']],
    [
      'Composer',
      { 'composer.json': '{"scripts":{"test":"phpunit"}}' },
      ['composer install --no-interaction'],
      ['composer test'],
    ],
    [
      'PHPUnit',
      { 'composer.json': '{}', 'phpunit.xml.dist': '' },
      ['composer install --no-interaction'],
      ['vendor/bin/phpunit'],
    ],
    ['RSpec', { Gemfile: "gem 'rspec'" }, ['bundle install'], ['bundle exec rspec']],
    ['Rake', { Gemfile: '', Rakefile: 'Rake::TestTask.new' }, ['bundle install'], ['bundle exec rake test']],
    ['Mix', { 'mix.exs': '' }, ['mix deps.get'], ['mix test']],
    ['.NET', { 'Shop.sln': '' }, ['dotnet restore'], ['dotnet test --no-restore']],
    ['Deno', { 'deno.json': '{"tasks": {"test": "deno test -A"}}' }, [], ['deno task test']],
    ['make', { Makefile: 'all:\n\ntest: all\n\t./t\n' }, [], ['make test']],
    ['make with a variable', { Makefile: 'test := 1\ncheck:\n\t./t\n' }, [], ['make check']],
    ['make beside npm', { Makefile: 'test:\n', 'package.json': manifest({ test: 'x' }) }, [], ['npm test']],
    ['make where npm has no test', { Makefile: 'test:\n', 'package.json': manifest({}) }, [], ['make test']],
    [
      'two ecosystems',
      { 'go.mod': '', 'package.json': manifest(TEST), 'package-lock.json': '' },
      ['npm ci', 'go mod download'],
      ['npm test', 'go vet ./...', 'go test ./...'],
    ],
    ['nothing', { 'README.md': 'run `npm test`' }, [], []],
  ])('%s', (_name, files, setup, verify) => {
    const found = guess(files)
    expect(found).toMatchObject({ setup, verify })
    if (verify.length === 0) expect(found.why.at(-1)).toMatch(/^Found no command/)
  })
})

describe('the new file', () => {
  test('says what was chosen, and nothing else counts', () => {
    const text = renderConfig({
      prefix: 'SHOP',
      pipeline: 'direct',
      agent: 'claude',
      setup: ['npm ci'],
      verify: ['npm test', 'a: b # c'],
      approval: 'auto',
    })
    expect(parse(text)).toEqual({
      prefix: 'SHOP',
      pipeline: 'direct',
      setup: ['npm ci'],
      verify: ['npm test', 'a: b # c'],
      approval: 'auto',
      agents: { developer: { agent: 'claude' }, reviewer: { agent: 'claude' } },
    })
  })

  test('with nothing chosen it is all comments, and says that nothing will land', () => {
    const text = renderConfig({ prefix: null, pipeline: null, agent: null, setup: [], verify: [], approval: null })
    expect(parse(text)).toBeNull()
    expect(text).toContain('nothing lands')
  })

  test.each([['none'], 'none'] as (string[] | 'none')[])('verify %j is the word none', (verify) => {
    expect(
      parse(renderConfig({ prefix: null, pipeline: null, agent: null, setup: [], verify, approval: null })),
    ).toEqual({ verify: 'none' })
  })

  test('any command comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1 }), { minLength: 1 }),
        fc.array(fc.string({ minLength: 1 }), { minLength: 2 }),
        (setup, verify) => {
          expect(
            parse(renderConfig({ prefix: null, pipeline: null, agent: null, setup, verify, approval: null })),
          ).toEqual({ setup, verify })
        },
      ),
    )
  })
})
