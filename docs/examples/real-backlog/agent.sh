#!/bin/sh
# Stands in for a coding agent: does what a prompt such as `edit part 017` asks for, with the tools
# that an agent would use. Any other program could stand in its place.
set -eu
what=${1%% *}
part=${1##* }
source=src/part$part.c

# Some work is not ready when it is first looked at.
if [ "$AGENT_RUNNER_ATTEMPT" = 1 ] && grep -qs 'not ready' "$source"; then
    echo "part $part is not ready, try again" >&2
    exit 1
fi

case $what in
edit)
    sed -i.before "s/VERSION_$part 1/VERSION_$part 2/" "$source"
    git commit --quiet --message "part $part: version 2" -- "$source"
    echo "committed $source"
    ;;
build)
    mkdir -p out
    cc -c "$source" -o "out/part$part.o"
    echo "built out/part$part.o"
    ;;
find)
    mkdir -p out
    grep -n "VERSION_$part" "$source" >"out/part$part.txt"
    echo "wrote out/part$part.txt"
    ;;
*)
    echo "cannot $1" >&2
    exit 2
    ;;
esac
