import { UserError } from '../../lib/errors.ts'
import { defineCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { printJson } from './print.ts'

/** Each asks `orch __complete` with the words up to the cursor; what it prints to standard error is dropped. */
const SCRIPTS: Readonly<Record<string, string>> = {
  // COMP_WORDS is split at "=" as well, which stands between an option and its value.
  bash: `# Completion of orch for bash.
_orch() {
  local line word words=()
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    [[ $word == "=" ]] || words+=("$word")
  done
  [[ \${COMP_WORDS[COMP_CWORD]} == "=" ]] && words+=("")
  while IFS= read -r line; do
    if [[ $line == ":files" ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "\${words[\${#words[@]}-1]}")
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("$1" __complete "\${words[@]}" 2>/dev/null)
}
complete -F _orch orch
`,
  zsh: `#compdef orch
# Completion of orch for zsh: as _orch in a folder of fpath, or sourced.
_orch() {
  local line
  local -a lines items
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  for line in "\${lines[@]}"; do
    [[ -z $line ]] && continue
    if [[ $line == ":files" ]]; then
      _files
      return
    fi
    items+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( \${#items} )) && _describe -V orch items
}
if [[ "\${funcstack[1]}" == _orch ]]; then
  _orch "$@"
elif (( \${+functions[compdef]} )); then
  compdef _orch orch
fi
`,
  fish: `# Completion of orch for fish.
function __orch_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
        if test "$line" = ':files'
            __fish_complete_path "$typed"
        else
            printf '%s\\n' "$line"
        end
    end
end
complete -c orch -f -a '(__orch_complete)'
`,
}

const SHELLS = Object.keys(SCRIPTS)

export const command = defineCommand({
  summary: 'Print the completion script of a shell',
  details:
    'Completes commands, options and their values, and tasks with their titles.\n' +
    'bash: put `source <(orch completion bash)` into ~/.bashrc.\n' +
    'zsh: `orch completion zsh > FOLDER/_orch` with a FOLDER of $fpath, or source it after compinit.\n' +
    'fish: `orch completion fish > ~/.config/fish/completions/orch.fish`.',
  positionals: [{ name: 'SHELL', required: true, description: 'bash, zsh or fish', complete: SHELLS }],
  options: {},
  examples: ['source <(orch completion bash)', 'orch completion fish > ~/.config/fish/completions/orch.fish'],
  mutates: false,
  async run({ positionals: [shell = ''], json }, context) {
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined
    if (script === undefined)
      throw new UserError(EXIT.usage, 'bad-value', `"${shell}" is no shell that can be completed: ${SHELLS.join(', ')}`)
    if (json) printJson(context, { shell, script })
    else context.stdout.write(script)
    return EXIT.ok
  },
})
