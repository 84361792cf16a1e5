// What every adapter must do, whatever its CLI: run against each by its own test file.

import { describe, expect, test } from 'vitest'
import { NO_USAGE } from '../core/run.ts'
import type { AgentAdapter } from './agent.ts'

const WELL = { exitCode: 0, signal: null, stderrTail: '' }
const context = { resumed: false, previousUsage: null, previousCostUsd: null }

export interface AgentSample {
  adapter: AgentAdapter
  /** Lines of a run that ended well. */
  goodRun: string[]
  /** True when the stream itself says how it ended, so that silence is no success. */
  speaks: boolean
}

/** The contract of an adapter's parser. */
export function describeAgent({ adapter, goodRun, speaks }: AgentSample): void {
  const parse = (lines: string[], exit: { exitCode: number | null; signal: string | null; stderrTail: string }) => {
    const parser = adapter.parser(context)
    const events = lines.flatMap((line) => parser.push(line))
    return { events, summary: parser.end(exit) }
  }

  describe(`agent ${adapter.name}`, () => {
    test('a good run has no failure, and says something', () => {
      const { events, summary } = parse(goodRun, WELL)
      expect(summary.failure).toBeNull()
      expect(events.some((event) => event.type === 'message')).toBe(true)
    })

    test('a good stream with a bad exit is a failure', () => {
      expect(parse(goodRun, { ...WELL, exitCode: 1 }).summary.failure).not.toBeNull()
      expect(parse(goodRun, { ...WELL, exitCode: null, signal: 'SIGKILL' }).summary.failure).not.toBeNull()
    })

    test('silence is a success only where the stream has no words for one', () => {
      const { failure, usage, costUsd } = parse([], WELL).summary
      expect(failure === null).toBe(!speaks)
      expect({ usage, costUsd }).toEqual({ usage: NO_USAGE, costUsd: 0 })
    })

    test.each([
      '',
      '{',
      '[]',
      'null',
      '42',
      '"text"',
      '{"type":7}',
      '{"type":"result"}',
      '\u0000\ufffd',
      'x'.repeat(100_000),
    ])('never throws: line %#', (line) => {
      const { summary } = parse([line], { exitCode: 1, signal: null, stderrTail: 'it broke' })
      expect(summary.failure).not.toBeNull()
    })

    test('a broken line in the middle does not lose the rest', () => {
      const middle = Math.floor(goodRun.length / 2)
      const broken = [...goodRun.slice(0, middle), '{"type":"half', ...goodRun.slice(middle)]
      const { events } = parse(broken, WELL)
      expect(events.length).toBeGreaterThan(parse(goodRun, WELL).events.length)
    })

    test('two runs share nothing', () => {
      parse(goodRun, WELL)
      expect(parse([], { ...WELL, exitCode: 9 }).summary).toMatchObject({
        sessionId: null,
        usage: NO_USAGE,
        costUsd: 0,
      })
    })

    test('the prompt is no argument', () => {
      const request = {
        program: { command: 'cat' },
        path: '/bin/sh',
        model: 'm',
        effort: null,
        resume: null,
        configDir: '/nowhere',
        sandboxed: true,
        env: {},
      }
      const { args } = adapter.command(request)
      expect(args.join(' ')).not.toContain('Orch-Task')
      expect(args.every((argument) => argument.length < 1_000)).toBe(true)
    })
  })
}
