// Guesses a repository's setup and verify commands from what lies at its root. Runs nothing, believes no README.
// Invariant: a command is named only when the repository shows that it exists; nothing found is said, not invented.

import type { Guess, RootFiles } from './config.ts'
import { guessNode } from './guess-node.ts'
import { guessPython } from './guess-python.ts'

/** What one ecosystem found; null when the repository has none of it. */
type Finder = (files: RootFiles) => Guess | null

const FINDERS: Finder[] = [guessNode, guessPython, rust, go, jvm, php, ruby, elixir, dotnet, deno]

/** Commands of every ecosystem found, in a fixed order; a Makefile counts when nothing else says how to test. Pure. */
export function guessCommands(files: RootFiles): Guess {
  const found = FINDERS.flatMap((find) => find(files) ?? [])
  if (found.every((guess) => guess.verify.length === 0)) {
    const make = makefile(files)
    if (make) found.push(make)
  }
  const guess: Guess = {
    setup: found.flatMap((part) => part.setup),
    verify: found.flatMap((part) => part.verify),
    why: found.flatMap((part) => part.why),
  }
  if (guess.verify.length === 0) {
    guess.why.push(
      'Found no command that tests this repository: nothing can land until `verify` names one (or says none)',
    )
  }
  return guess
}

/** First of the names that is at the root. */
function firstOf(files: RootFiles, names: string[]): string | undefined {
  return names.find((name) => files.list.includes(name))
}

/** A JSON file as an object; null when it is absent or broken. */
function readJson(files: RootFiles, name: string): Record<string, unknown> | null {
  if (!files.list.includes(name)) return null
  try {
    const value: unknown = JSON.parse(files.read(name) ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** The group at a key of an object, empty when there is none. */
function groupAt(value: Record<string, unknown> | null, key: string): Record<string, unknown> {
  const group = value?.[key]
  return typeof group === 'object' && group !== null && !Array.isArray(group) ? (group as Record<string, unknown>) : {}
}

function rust(files: RootFiles): Guess | null {
  if (!files.list.includes('Cargo.toml')) return null
  const locked = files.list.includes('Cargo.lock')
  return {
    setup: [locked ? 'cargo fetch --locked' : 'cargo fetch'],
    verify: [locked ? 'cargo test --locked' : 'cargo test'],
    why: [`Cargo.toml${locked ? ' with Cargo.lock' : ''}: cargo test`],
  }
}

function go(files: RootFiles): Guess | null {
  if (!files.list.includes('go.mod')) return null
  return { setup: ['go mod download'], verify: ['go vet ./...', 'go test ./...'], why: ['go.mod: go vet and go test'] }
}

function jvm(files: RootFiles): Guess | null {
  if (files.list.includes('pom.xml')) {
    const maven = files.list.includes('mvnw') ? './mvnw' : 'mvn'
    return { setup: [], verify: [`${maven} --batch-mode verify`], why: [`pom.xml: ${maven} verify`] }
  }
  const build = firstOf(files, ['build.gradle.kts', 'build.gradle', 'settings.gradle.kts', 'settings.gradle'])
  if (!build) return null
  const gradle = files.list.includes('gradlew') ? './gradlew' : 'gradle'
  return { setup: [], verify: [`${gradle} --no-daemon check`], why: [`${build}: ${gradle} check`] }
}

function php(files: RootFiles): Guess | null {
  const composer = readJson(files, 'composer.json')
  if (!composer) return null
  const setup = ['composer install --no-interaction']
  if ('test' in groupAt(composer, 'scripts'))
    return { setup, verify: ['composer test'], why: ['composer.json with a test script'] }
  const config = firstOf(files, ['phpunit.xml', 'phpunit.xml.dist'])
  if (config) return { setup, verify: ['vendor/bin/phpunit'], why: [`composer.json and ${config}`] }
  return { setup, verify: [], why: ['composer.json without a test script'] }
}

function ruby(files: RootFiles): Guess | null {
  if (!files.list.includes('Gemfile')) return null
  const setup = ['bundle install']
  const gems = files.read('Gemfile') ?? ''
  if (files.list.includes('.rspec') || /^\s*gem\s+['"]rspec/m.test(gems))
    return { setup, verify: ['bundle exec rspec'], why: ['Gemfile with RSpec'] }
  const rakefile = files.list.includes('Rakefile') ? (files.read('Rakefile') ?? '') : ''
  if (/TestTask|task\s+:?['"]?test\b/.test(rakefile))
    return { setup, verify: ['bundle exec rake test'], why: ['Gemfile and a Rakefile with a test task'] }
  return { setup, verify: [], why: ['Gemfile without a test task'] }
}

function elixir(files: RootFiles): Guess | null {
  if (!files.list.includes('mix.exs')) return null
  return { setup: ['mix deps.get'], verify: ['mix test'], why: ['mix.exs: mix test'] }
}

function dotnet(files: RootFiles): Guess | null {
  const project = files.list.find((name) => /\.(sln|slnx|csproj|fsproj)$/.test(name))
  if (!project) return null
  return { setup: ['dotnet restore'], verify: ['dotnet test --no-restore'], why: [`${project}: dotnet test`] }
}

function deno(files: RootFiles): Guess | null {
  const config = firstOf(files, ['deno.json', 'deno.jsonc'])
  if (!config) return null
  const hasTask = /"tasks"\s*:\s*\{[^}]*"test"\s*:/.test(files.read(config) ?? '')
  return { setup: [], verify: [hasTask ? 'deno task test' : 'deno test'], why: [`${config}: deno`] }
}

function makefile(files: RootFiles): Guess | null {
  const name = firstOf(files, ['GNUmakefile', 'makefile', 'Makefile'])
  if (!name) return null
  const text = files.read(name) ?? ''
  const target = ['test', 'check'].find((word) => new RegExp(`^${word}\\s*:(?!=)`, 'm').test(text))
  if (!target) return { setup: [], verify: [], why: [`${name} without a target test or check`] }
  return { setup: [], verify: [`make ${target}`], why: [`${name} with the target ${target}`] }
}
