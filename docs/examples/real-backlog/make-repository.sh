#!/usr/bin/env bash
# Makes a git repository of 300 small C files, and a backlog of 300 tasks for it in seven formats.
#
#   bash make-repository.sh DIR
#
# Every 21st part fails at the first attempt, every 37th always: its file is missing.
set -euo pipefail

parts=300
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
cd "$1"
mkdir -p src backlog
cp "$here/agent.sh" .

printf '/out/\n/backlog/\n*.before\n' >.gitignore
printf '# Work on the parts\n\n' >backlog/tasks.md
printf 'id,prompt,tags,locks\n' >backlog/tasks.csv
printf '[' >backlog/tasks.json
: >backlog/tasks.jsonl >backlog/tasks.yaml >backlog/tasks.toml >backlog/tasks.txt

for ((i = 1; i <= parts; i++)); do
    printf -v part '%03d' "$i"
    case $((i % 5)) in
    0) what=edit lock=git ;;
    4) what=build lock= ;;
    *) what=find lock= ;;
    esac

    note=
    ((i % 21 != 5)) || note=' /* not ready */'
    ((i % 37 == 11)) ||
        printf '#define VERSION_%s 1%s\nint part%s(void) { return VERSION_%s; }\n' \
            "$part" "$note" "$part" "$part" >"src/part$part.c"

    # Commits share the index of git, so no two of them run at once.
    id=part-$part prompt="$what part $part"
    json=$(printf '{"id":"%s","prompt":"%s","tags":["%s"],"locks":[%s]}' \
        "$id" "$prompt" "$what" "${lock:+\"$lock\"}")
    printf '%s\n' "$json" >>backlog/tasks.jsonl
    printf '%s\n%s' "$( ((i == 1)) || echo ,)" "$json" >>backlog/tasks.json
    printf -- '- id: %s\n  prompt: %s\n  tags: [%s]\n  locks: [%s]\n' \
        "$id" "$prompt" "$what" "$lock" >>backlog/tasks.yaml
    printf '[[tasks]]\nid = "%s"\nprompt = "%s"\ntags = ["%s"]\nlocks = [%s]\n\n' \
        "$id" "$prompt" "$what" "${lock:+\"$lock\"}" >>backlog/tasks.toml
    printf '%s,%s,%s,%s\n' "$id" "$prompt" "$what" "$lock" >>backlog/tasks.csv
    printf -- '- [ ] %s {#%s .%s%s}\n' \
        "$prompt" "$id" "$what" "${lock:+ locks=$lock}" >>backlog/tasks.md
    # A line is a prompt and nothing else, so it cannot name a lock: only what needs none.
    [[ $what == edit ]] && printf 'find part %s\n' "$part" >>backlog/tasks.txt ||
        printf '%s\n' "$prompt" >>backlog/tasks.txt
done
printf '\n]\n' >>backlog/tasks.json

git init --quiet
git config gc.auto 0
git add .
git commit --quiet --message "$parts parts"
