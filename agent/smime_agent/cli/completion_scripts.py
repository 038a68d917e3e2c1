"""The completion scripts of the shells: each asks the program, and takes every line of the answer as text alone."""

from __future__ import annotations

from typing import Final

_BASH = """\
# smime-agent completion for bash: source it from ~/.bashrc, or put it into
# ~/.local/share/bash-completion/completions/smime-agent
_smime_agent_completion() {
    local line kind="" typed="${COMP_LINE:0:COMP_POINT}"
    [[ -n $typed ]] || typed="${COMP_WORDS[*]:0:COMP_CWORD+1}"
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("$line"); fi
    done < <(_SMIME_AGENT_COMPLETE=bash command smime-agent "$typed" "$COMP_WORDBREAKS" 2>/dev/null)
    case $kind in
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
        open) compopt -o nospace ;;
    esac
}
complete -F _smime_agent_completion smime-agent
"""
_ZSH = """\
#compdef smime-agent
# smime-agent completion for zsh: put it into a folder of $fpath as _smime-agent, or source it after compinit
_smime_agent_completion() {
    local line kind="" value
    local -a values shown
    while IFS= read -r line; do
        if [[ -z $kind ]]; then kind=$line; continue; fi
        value=${line%%$'\\t'*}
        values+=("$value")
        line=${line#*$'\\t'}
        shown+=("${value}${line:+  -- $line}")
    done < <(_SMIME_AGENT_COMPLETE=zsh command smime-agent "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    case $kind in
        files) _files ;;
        folders) _files -/ ;;
        open) compadd -S '' -l -d shown -a -- values ;;
        *) compadd -l -d shown -a -- values ;;
    esac
}
if [[ $funcstack[1] == _smime-agent ]]; then
    _smime_agent_completion "$@"
else
    compdef _smime_agent_completion smime-agent
fi
"""
_FISH = """\
# smime-agent completion for fish: put it into ~/.config/fish/completions/smime-agent.fish
function __smime_agent_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (_SMIME_AGENT_COMPLETE=fish command smime-agent $words[2..-1] "$current" 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
        case '*'
            printf '%s\\n' $answer[2..-1]
    end
end
complete --command smime-agent --no-files --arguments '(__smime_agent_completion)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
