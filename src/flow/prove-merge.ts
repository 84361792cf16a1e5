// What shows that main holds a merge: the very commit where Orch pushed it, exactly the tested tree where the forge merged
// for us (S4, S5).

import type { Mirror } from '../workspace/workspace.ts'

export interface IntendedMerge {
  /** The commit that was tested. */
  mergeSha: string
  /** Where main was. */
  onto: string
  tree: string
  /** The task's head, which a merge of the forge brings along. */
  head: string
  via: 'push' | 'forge'
}

export type MergeProof =
  /** Main holds it, as `mergedSha`. */
  | { kind: 'merged'; mergedSha: string }
  /** The forge merged the head, and no tree of main is the one that was tested: `at` brought it in. */
  | { kind: 'untested'; at: string }
  | { kind: 'absent' }

/** Commits of main that are looked through: far more than land between a merge and the look at it. */
const MOST_COMMITS = 200

/** Looks at main as it is at `tip`; fetch before. */
export async function proveMerge(mirror: Mirror, merge: IntendedMerge, tip: string): Promise<MergeProof> {
  const { mergeSha, onto, tree, head, via } = merge
  if (await mirror.isAncestor(mergeSha, tip)) return { kind: 'merged', mergedSha: mergeSha }
  if (via === 'push' || tip === onto) return { kind: 'absent' }
  // Of main itself alone: the head's own tree is often the tested one, and says nothing of what main became by its merge.
  const since = (await mirror.mainline(onto, tip)).slice(0, MOST_COMMITS)
  // The tested tree itself, whatever commit carries it: a merge, a squash, or the last commit of a rebase.
  for (const sha of since) if ((await mirror.treeOf(sha)) === tree) return { kind: 'merged', mergedSha: sha }
  for (const sha of since) if (await mirror.isAncestor(head, sha)) return { kind: 'untested', at: sha }
  return { kind: 'absent' }
}
