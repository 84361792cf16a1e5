#!/usr/bin/env node
// Starts Orch on a Node that can run it. This file is read by whatever `node` the machine has, so it keeps to syntax
// and modules of old ones: no `node:` names, no optional chaining, no await at the top level.

import { basename, dirname, join } from 'path'
import { fileURLToPath } from 'url'

const NEEDED = 24
const GUARD = 'ORCH_LAUNCHED'
const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const version = process.versions.node

if (Number(version.split('.')[0]) >= NEEDED) start()
else if (process.env[GUARD]) refuse('the one beside Orch is ' + version)
else {
  void import('fs').then(function (fs) {
    const pinned = findPinned(root, fs.existsSync)
    if (pinned) handOver(pinned)
    else refuse('this is ' + version)
  })
}

/** The sources in a checkout, the build in a package. Importing main runs the command line. */
function start() {
  delete process.env[GUARD]
  const sources = join(root, 'src', 'main.ts')
  // Not imported: as a module `fs` loads much that a short command never needs.
  const exists = process.getBuiltinModule('fs').existsSync
  import(exists(sources) ? '../src/main.ts' : '../dist/main.js').catch(function (error) {
    console.error(error)
    process.exitCode = 1
  })
}

/**
 * The `node` package where npm puts it: inside ours, or in a node_modules that ours is in. Not in any folder above, as
 * require() would look: one of those may be writable by others.
 */
function findPinned(from, existsSync) {
  const places = [join(from, 'node_modules')]
  for (let folder = dirname(from); dirname(folder) !== folder; folder = dirname(folder)) {
    if (basename(folder) === 'node_modules') places.push(folder)
  }
  return places.map((place) => join(place, 'node', 'bin', 'node')).find((node) => existsSync(node))
}

/** Runs this file again on another Node and ends as it ends. */
function handOver(node) {
  void import('child_process').then(function (processes) {
    const env = Object.assign({}, process.env)
    env[GUARD] = '1'
    const child = processes.spawn(node, [self].concat(process.argv.slice(2)), { stdio: 'inherit', env: env })
    // On a terminal Ctrl-C reaches the whole group: sent on as well, it would count as pressed twice.
    process.on('SIGINT', function () {
      if (!process.stdin.isTTY) child.kill('SIGINT')
    })
    const forwarded = ['SIGTERM', 'SIGHUP']
    forwarded.forEach(function (signal) {
      process.on(signal, function () {
        child.kill(signal)
      })
    })
    child.on('error', function (error) {
      refuse('this is ' + version + ' and ' + node + ' could not be started (' + error.message + ')')
    })
    child.on('exit', function (code, signal) {
      if (!signal) return process.exit(code === null ? 1 : code)
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    })
  })
}

function refuse(found) {
  const help = 'run `npm install node@' + NEEDED + '` beside Orch, or install a newer Node'
  console.error('orch: needs Node ' + NEEDED + ' or newer, ' + found + '; ' + help)
  process.exitCode = 6
}
