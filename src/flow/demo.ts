// The demo's four tasks: one passes at once, one breaks a test and mends it, one is sent back by the reviewer,
// one fails until its attempts are spent. The scripted agent reads what to do from the task; a real agent reads the prose.

import type { Actor } from '../core/messages.ts'
import { UserError } from '../lib/errors.ts'
import type { App } from './app.ts'

interface DemoTask {
  title: string
  prose: string
  /** For the scripted agent: its steps by stage and attempt, as YAML. */
  script: string
}

const write = (path: string, lines: string[]): string =>
  [`    - write:`, `        path: ${path}`, `        content: |`, ...lines.map((line) => `          ${line}`)].join(
    '\n',
  )

const WORK = `    - say: Reading the code
    - sleep: 0.4
    - say: Writing the change and its test`

const discount = (factor: string): string =>
  write('src/discount.js', [
    '/** Price in cents after a discount in percent, rounded to whole cents. */',
    'export function discounted(cents, percent) {',
    `  return Math.round(cents * ${factor})`,
    '}',
  ])

const discountTest = write('test/discount.test.js', [
  "import assert from 'node:assert/strict'",
  "import test from 'node:test'",
  "import { discounted } from '../src/discount.js'",
  '',
  "test('ten percent off', () => assert.equal(discounted(1000, 10), 900))",
])

const receipt = (unit: string): string =>
  write('src/receipt.js', [
    "import { total } from './total.js'",
    '',
    '/** The line a customer sees. */',
    'export function receiptLine(items) {',
    `  return \`Total: \${(total(items) / 100).toFixed(2)}${unit}\``,
    '}',
  ])

const receiptTest = (unit: string): string =>
  write('test/receipt.test.js', [
    "import assert from 'node:assert/strict'",
    "import test from 'node:test'",
    "import { receiptLine } from '../src/receipt.js'",
    '',
    `test('a receipt shows the total', () => assert.equal(receiptLine([{ cents: 250, count: 2 }]), 'Total: 5.00${unit}'))`,
  ])

const convert = (problem: string): string =>
  write('src/convert.js', [
    '/** Converts cents into another currency. */',
    'export function convert(cents, currency) {',
    `  throw new Error(\`${problem}: \${currency}\`)`,
    '}',
  ])

const convertTest = write('test/convert.test.js', [
  "import assert from 'node:assert/strict'",
  "import test from 'node:test'",
  "import { convert } from '../src/convert.js'",
  '',
  "test('euros become dollars', () => assert.ok(convert(100, 'USD') > 0))",
])

export const DEMO_TASKS: readonly [DemoTask, ...DemoTask[]] = [
  {
    title: 'Say how many items an order has',
    prose: 'Add `itemCount(items)` in `src/count.js` that sums the counts of an order, with a test.',
    script: `develop:
  -
${WORK}
${write('src/count.js', ['/** Number of items in an order. */', 'export function itemCount(items) {', '  return items.reduce((sum, item) => sum + item.count, 0)', '}'])}
${write('test/count.test.js', ["import assert from 'node:assert/strict'", "import test from 'node:test'", "import { itemCount } from '../src/count.js'", '', "test('counts add up', () => assert.equal(itemCount([{ count: 2 }, { count: 3 }]), 5))"])}
    - run: node --test
    - commit: Say how many items an order has`,
  },
  {
    title: 'Give discounts in percent',
    prose: 'Add `discounted(cents, percent)` in `src/discount.js`, rounded to whole cents, with a test.',
    script: `develop:
  -
${WORK}
${discount('(1 - percent)')}
${discountTest}
    - commit: Give discounts in percent
  -
    - say: The test shows what is wrong, percent has to be divided by 100
    - sleep: 0.4
${discount('(1 - percent / 100)')}
    - run: node --test
    - commit: Divide the percentage by 100`,
  },
  {
    title: 'Print the total on the receipt',
    prose: 'Add `receiptLine(items)` in `src/receipt.js` that shows the total with its currency (EUR), with a test.',
    script: `develop:
  -
${WORK}
${receipt('')}
${receiptTest('')}
    - commit: Print the total on the receipt
  -
    - say: The reviewer is right, the currency is missing
    - sleep: 0.4
${receipt(' EUR')}
${receiptTest(' EUR')}
    - run: node --test
    - commit: Show the currency
review:
  -
    - say: The task asks for the currency and the change shows none
    - handoff:
        verdict: request_changes
        findings:
          - severity: P1
            file: src/receipt.js
            line: 5
            text: The task asks for the currency. The line shows none.
  -
    - say: All that the task asks for is there`,
  },
  {
    title: 'Convert totals to any currency',
    prose: 'Add `convert(cents, currency)` in `src/convert.js` with the rates of today, with a test.',
    script: `develop:
  -
${WORK}
${convert('no rate known')}
${convertTest}
    - commit: Convert totals, without rates so far
  -
    - say: There are no rates to be had here
    - sleep: 0.4
${convert('still no rate known')}
    - commit: Say so in the error
  -
    - say: Nothing to look them up in either
    - sleep: 0.4
${convert('no rate can be known here')}
    - commit: Say so more clearly`,
  },
]

/** Registers the sample clone and opens the four tasks. Throws UserError when one is refused. */
export async function openDemoTasks(
  app: Pick<App, 'init' | 'addTask'>,
  request: { clone: string; agent: string; actor: Actor },
): Promise<{ project: string; tasks: string[] }> {
  const { project } = await app.init({
    cwd: request.clone,
    prefix: 'SHOP',
    agent: request.agent,
    pipeline: null,
    setup: [],
    verify: ['node --test'],
    approval: 'auto',
  })
  const tasks: string[] = []
  for (const { title, prose, script } of DEMO_TASKS) {
    const body = request.agent === 'scripted' ? `${prose}\n\n\`\`\`script\n${script}\n\`\`\`\n` : prose
    const opened = await app.addTask(
      { project: project.id, title, body, labels: ['demo'], priority: 0, dependsOn: [], pipeline: null },
      request.actor,
    )
    if (!opened.ok)
      throw new UserError(4, opened.refusal.code, `the demo's task "${title}" was refused: ${opened.refusal.text}`)
    tasks.push(opened.value.id)
  }
  return { project: project.id, tasks }
}
