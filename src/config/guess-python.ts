// Python's part of the guess: the tool by its lock file, a virtual environment of the checkout's own otherwise.

import type { Guess, RootFiles } from './config.ts'

/** A virtual environment that no `git add` sees: pip refuses to work outside of one (PIP_REQUIRE_VIRTUALENV). */
const MAKE_VENV = "python3 -m venv .venv && echo '*' > .venv/.gitignore"

/** Null when nothing at the root belongs to Python. */
export function guessPython(files: RootFiles): Guess | null {
  const has = (name: string): boolean => files.list.includes(name)
  const project = files.read('pyproject.toml') ?? ''
  const runner = testRunner(files, project)
  if (has('uv.lock')) return withTool({ by: 'uv.lock', setup: 'uv sync --frozen', prefix: 'uv run --frozen', runner })
  if (has('poetry.lock'))
    return withTool({ by: 'poetry.lock', setup: 'poetry install --no-interaction', prefix: 'poetry run', runner })
  if (has('pdm.lock')) return withTool({ by: 'pdm.lock', setup: 'pdm sync', prefix: 'pdm run', runner })
  if (has('Pipfile.lock'))
    return withTool({ by: 'Pipfile.lock', setup: 'pipenv sync --dev', prefix: 'pipenv run', runner })
  const requirements = files.list
    .filter((name) => /^requirements([-_.](dev|test|tests|testing))?\.txt$|^(dev|test)-requirements\.txt$/.test(name))
    .sort()
  const installable = has('setup.py') || /^\[(project|build-system|tool\.poetry)\]/m.test(project)
  if (requirements.length === 0 && !installable) return runner === 'none' || !hasPython(files) ? null : bare(runner)
  const wanted = [...requirements.map((name) => `-r ${name}`), ...(installable ? ['-e .'] : [])]
  const named = requirements.some((name) => /^pytest\b/m.test(files.read(name) ?? ''))
  if (runner === 'pytest' && !named) wanted.push('pytest')
  return {
    setup: [MAKE_VENV, `.venv/bin/python -m pip install ${wanted.join(' ')}`],
    verify: runner === 'none' ? [] : [`.venv/bin/python -m ${runner === 'pytest' ? 'pytest' : 'unittest discover'}`],
    why: [
      `${[...requirements, ...(installable ? [has('setup.py') ? 'setup.py' : 'pyproject.toml'] : [])].join(', ')}: a virtual environment in .venv`,
      runnerWhy(runner),
    ],
  }
}

type Runner = 'pytest' | 'unittest' | 'none'

function withTool(found: { by: string; setup: string; prefix: string; runner: Runner }): Guess {
  const test = found.runner === 'unittest' ? 'python -m unittest discover' : 'pytest'
  return {
    setup: [found.setup],
    verify: found.runner === 'none' ? [] : [`${found.prefix} ${test}`],
    why: [`${found.by}: ${found.prefix.split(' ')[0]}`, runnerWhy(found.runner)],
  }
}

function bare(runner: Runner): Guess {
  if (runner === 'unittest')
    return { setup: [], verify: ['python3 -m unittest discover'], why: ['Python files and a test folder: unittest'] }
  return {
    setup: [MAKE_VENV, '.venv/bin/python -m pip install pytest'],
    verify: ['.venv/bin/python -m pytest'],
    why: ['a pytest configuration: a virtual environment in .venv'],
  }
}

function runnerWhy(runner: Runner): string {
  return runner === 'none' ? 'found no Python tests' : `Python tests run by ${runner}`
}

function hasPython(files: RootFiles): boolean {
  return files.list.some((name) => name.endsWith('.py') || name === 'pytest.ini' || name === 'tox.ini')
}

function testRunner(files: RootFiles, project: string): Runner {
  const mentions = [
    'setup.cfg',
    'tox.ini',
    'Pipfile',
    ...files.list.filter((name) => /requirements.*\.txt$/.test(name)),
  ]
    .filter((name) => files.list.includes(name))
    .map((name) => files.read(name) ?? '')
  if (files.list.some((name) => name === 'pytest.ini' || name === 'conftest.py')) return 'pytest'
  if ([project, ...mentions].some((text) => /\bpytest\b/.test(text))) return 'pytest'
  return files.list.some((name) => /^tests?$/.test(name) || /^test_.*\.py$|_test\.py$/.test(name)) ? 'unittest' : 'none'
}
