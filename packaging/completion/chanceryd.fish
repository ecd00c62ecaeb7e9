# SPDX-License-Identifier: MIT
# fish completion for chanceryd(8)

complete -c chanceryd -n __fish_use_subcommand -f -a init -d 'make a working single-node server'
complete -c chanceryd -n __fish_use_subcommand -f -a check -d 'check a configuration'
complete -c chanceryd -n __fish_use_subcommand -f -a doctor -d 'find out what is wrong'
complete -c chanceryd -n __fish_use_subcommand -f -a backup -d 'copy everything that a server needs'
complete -c chanceryd -n __fish_use_subcommand -f -a restore -d 'make a data directory of a backup'
complete -c chanceryd -l config -r -d 'the configuration file'
complete -c chanceryd -n __fish_use_subcommand -l accept-older-store -d 'start on an older store'
complete -c chanceryd -n __fish_use_subcommand -l help -d 'print help'
complete -c chanceryd -n __fish_use_subcommand -l version -d 'print the version'
complete -c chanceryd -n '__fish_seen_subcommand_from init backup restore' -l data -r -a '(__fish_complete_directories)' -d 'the data directory'
complete -c chanceryd -n '__fish_seen_subcommand_from init' -l listen -x -d 'where to listen'
complete -c chanceryd -n '__fish_seen_subcommand_from init' -l name -x -d 'a name for the TLS certificate'
complete -c chanceryd -n '__fish_seen_subcommand_from backup' -l to -r -a '(__fish_complete_directories)' -d 'a new folder'
complete -c chanceryd -n '__fish_seen_subcommand_from restore' -l from -r -a '(__fish_complete_directories)' -d 'the backup'
complete -c chanceryd -n '__fish_seen_subcommand_from init doctor backup restore' -l json -d 'print one JSON document'
