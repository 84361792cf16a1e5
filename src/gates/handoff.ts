// Gate `handoff`: the agent ended by saying, in a form that can be read, that it is done. It is a claim and no more:
// a missing one fails, a question waits for a person, and whether the work is good is for the other gates.

import { type Finding, failed, type Judgement, passed, readVerdictKeys, unknown, waitsFor } from '../core/verdict.ts'
import type { Gate, Handoff } from './gate.ts'

const HOW = [
  'End by writing handoff.md into the directory named by Orch-Handoff. Its first line is ---, then keys, then ---, then prose:',
  '---',
  'status: done   # or needs_input, or blocked',
  'summary: "what you did, in one or two sentences"',
  'tests:',
  '  - the commands you ran',
  '---',
].join('\n')

/** A handoff's text that a person reads; more is in the kept file. */
const MAX_TEXT = 4_000

export const handoffGate: Gate = {
  name: 'handoff',
  costly: false,
  onUnknown: 'closed',
  describe: 'handoff.md can be read and says done; questions wait for answers.',
  collect: ({ handoff }) => Promise.resolve(judgeHandoff(handoff)),
}

function judgeHandoff(handoff: Handoff): Judgement {
  if (!handoff.ok) return failed(handoff.problem, [finding(`${sentence(handoff.problem)}\n${HOW}`)])
  const { keys, prose } = handoff
  const verdict = readVerdictKeys(keys)
  const summary = textOf(keys['summary'])
  switch (verdict.word) {
    case 'none':
      return failed(verdict.problem, [
        finding(`The handoff says neither done nor anything else: ${verdict.problem}.\n${HOW}`),
      ])
    case 'negative':
      return judgeNegative(verdict.value, { keys, text: summary || prose.slice(0, MAX_TEXT) })
    case 'positive':
      if (keys['status'] === undefined) return failed('no status', [finding(`The handoff has no key status.\n${HOW}`)])
      return passed(summary ? `the agent says it is done: ${summary.slice(0, 300)}` : 'the agent says it is done')
    default:
      return verdict satisfies never
  }
}

function judgeNegative(word: string, said: { keys: Record<string, unknown>; text: string }): Judgement {
  const values = ['verdict', 'result', 'status'].flatMap((key) =>
    said.keys[key] === undefined ? [] : [`${key}: ${textOf(said.keys[key])}`],
  )
  if (values.length > 1 && new Set(values.map((value) => value.split(': ')[1])).size > 1) {
    return failed(`the handoff contradicts itself (${values.join(', ')})`, [
      finding(
        `The handoff contradicts itself: ${values.join(', ')}. A negative word wins. Use the key status alone.\n${HOW}`,
      ),
    ])
  }
  if (word === 'needs_input' || word === 'needs-input') {
    const question =
      textOf(said.keys['questions'] ?? said.keys['question']) ||
      said.text ||
      'The agent needs an answer and did not say to what; see its handoff.'
    return waitsFor('answers', question.slice(0, MAX_TEXT), [
      { gate: 'handoff', severity: 'P2', text: question.slice(0, MAX_TEXT) },
    ])
  }
  const reason = said.text || 'it gave no reason'
  if (word === 'blocked')
    return unknown('agent-blocked', `the agent says that it can't do the task: ${reason}`, { retryable: false })
  return failed(`the agent says ${word}`, [finding(`Your handoff said ${word}: ${reason}`)])
}

/** A key's text; of a list, its items as lines. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value.trim()
  if (Array.isArray(value))
    return value
      .filter((item) => typeof item === 'string')
      .join('\n')
      .trim()
  return ''
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function finding(text: string): Finding {
  return { gate: 'handoff', severity: 'P1', text }
}
