// Reads a git configuration as text, to tell which settings could make git run something. Git itself is not asked:
// asking would follow its includes.

/** Settings that run a program, redirect git or change what is trusted, as `section.name.key` patterns on lower case. */
const RISKY = [
  /^core\.(?:fsmonitor|hookspath|sshcommand|editor|pager|askpass|gitproxy|worktree|alternaterefscommand|attributesfile|excludesfile|notesref)$/,
  /^(?:filter|alias|include|includeif|uploadpack|uploadarchive|receive|credential|gpg|pager|sequence|browser|man|mergetool|difftool|protocol|url|ssh|extensions|lfs|trailer|tar|interactive|instaweb|sendemail|web|guitool|transfer|safe|http|remote|submodule|hook|fsmonitor)\./,
  /^diff\.(?:external$|.*\.(?:command|textconv|xfuncname)$)/,
  /^merge\..*\.(?:driver|recursive)$/,
  /^(?:commit|tag|push|log)\.(?:gpgsign|showsignature|forcesignannotated)$/,
]

/** The risky settings of a configuration text, each once, in order. */
export function plantedSettings(text: string): string[] {
  const keys = settingsOf(text)
  return [...new Set(keys.filter((key) => RISKY.some((pattern) => pattern.test(key.toLowerCase()))))]
}

/** Names of all settings of a configuration text, as `section.sub.key`. */
function settingsOf(text: string): string[] {
  const keys: string[] = []
  let section = ''
  // A backslash at a line's end joins it with the next one.
  for (const raw of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    let line = raw.trim()
    const header = /^\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line)
    if (header) {
      section = [header[1] ?? '', header[2]].filter((part) => part !== undefined).join('.')
      line = line.slice(header[0].length).trim()
    }
    const key = /^([A-Za-z][A-Za-z0-9-]*)/.exec(line)?.[1]
    if (key && section) keys.push(`${section}.${key}`)
  }
  return keys
}
