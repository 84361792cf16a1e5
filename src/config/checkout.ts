// What a sparse checkout leaves out must not be needed: a verify command can run only in a folder that is there.

import type { VerifyCommand } from '../core/policy.ts'
import type { ConfigProblem } from './config.ts'
import type { Leaves } from './resolve.ts'

/** `a/b/` of any way to write it; empty for the root. */
const plain = (folder: string): string =>
  folder
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => `${part}/`)
    .join('')

/** Problems that show only when `checkout.sparse` and `verify` are together. */
export function checkCheckout(leaves: Leaves): ConfigProblem[] {
  const folders = ((leaves.get('checkout.sparse')?.value ?? []) as string[]).map(plain)
  const verify = leaves.get('verify')
  if (folders.length === 0 || !verify || verify.value === 'none') return []
  return (verify.value as VerifyCommand[]).flatMap(({ cwd }, index) => {
    const wanted = plain(cwd)
    const there = folders.some((folder) => wanted.startsWith(folder) || folder.startsWith(wanted))
    const text = `${cwd} is not checked out: \`checkout.sparse\` names ${folders.map((folder) => folder.slice(0, -1)).join(', ')}`
    return there ? [] : [{ ...verify.at, key: `verify[${index}].cwd`, text }]
  })
}
