# SPDX-License-Identifier: MIT
# bash completion for chanceryd(8)

_chanceryd()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $previous in
    --config) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    --data | --to | --from) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    --listen | --name) return ;;
    esac
    local words
    case ${COMP_WORDS[1]} in
    init) words='--data --listen --name --json' ;;
    check) words='--config' ;;
    doctor) words='--config --json' ;;
    backup) words='--data --config --to --json' ;;
    restore) words='--from --data --json' ;;
    --*) words='--accept-older-store' ;;
    *) words='init check doctor backup restore' ;;
    esac
    [ "$COMP_CWORD" -gt 1 ] || words='init check doctor backup restore --config --help --version'
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _chanceryd chanceryd
