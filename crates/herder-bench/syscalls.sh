#!/usr/bin/env bash
# Counts the system calls of one operation, for each contender of the benchmark.
#
#   crates/herder-bench/syscalls.sh [contender...]
#
# Every contender runs 20 and then 120 operations under `strace -f`; the difference by 100 leaves out the start of the
# program and of its runtime. In the trace a thread whose execve names one of the tiny programs is a child: what it
# calls until then, the execve included, is "child before exec", and what it calls afterwards is not counted. Every
# other thread (main, workers, reactors, spawners) is "parent". A call that strace itself interrupts (a traced process
# is woken by a SIGCHLD that it ignores) and that the kernel restarts is one call.
set -euo pipefail

if ! command -v strace >/dev/null; then
    echo "syscalls.sh: strace is missing; install it (Debian: apt-get install strace) and run this again" >&2
    exit 69
fi
cd "$(dirname "$0")/../.."
cargo build --quiet --release -p herder-bench
bench=${CARGO_TARGET_DIR:-target}/release/herder-bench
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # the names have no spaces
    set -- $("$bench" --help | sed -n 's/^Contenders: //p' | tr -d ,)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints "parent NAME COUNT" and "child NAME COUNT" lines for a trace.
count() {
    awk '
        NR == FNR { if ($0 ~ /execve\("[^"]*\/tiny-/) child[$1] = 1; next }
        $1 in done { next }
        /^[0-9]+ +<\.\.\. / {
            if (/= \? ERESTART/) { calls[last[$1]]--; again[$1] = last[$1] }
            next
        }
        !/^[0-9]+ +[a-z0-9_]+\(/ { next }
        {
            name = $2
            sub(/\(.*/, "", name)
            if (/= \? ERESTART/) { again[$1] = role($1) " " name; next }
            last[$1] = role($1) " " name
            if (name == "restart_syscall" && $1 in again) last[$1] = again[$1]
            calls[last[$1]]++
            if (name == "execve" && $1 in child) done[$1] = 1
        }
        function role(thread) { return thread in child ? "child" : "parent" }
        END { for (call in calls) print call, calls[call] }
    ' "$1" "$1"
}

for operation in spawn-wait output; do
    printf '\n## %s: system calls per operation\n\n' "$operation"
    echo "| contender | parent | child before exec | the parent's calls |"
    echo "|:---|---:|---:|:---|"
    for contender in "$@"; do
        "$bench" loop "$contender" "$operation" 1 2>/dev/null || continue
        for operations in 20 120; do
            strace -f -qq -o "$work/trace" "$bench" loop "$contender" "$operation" "$operations"
            count "$work/trace" >"$work/$operations"
        done
        awk -v contender="$contender" '
            NR == FNR { few[$1 " " $2] = $3; next }
            { each = ($3 - few[$1 " " $2]) / 100; sum[$1] += each }
            $1 == "parent" && each >= 0.05 { print each, $2 | "sort -k1,1nr -k2 >" list }
            END {
                close("sort -k1,1nr -k2 >" list)
                while ((getline line < list) > 0) {
                    split(line, part, " ")
                    text = text (text == "" ? "" : ", ") part[2] (part[1] == 1 ? "" : " " part[1])
                }
                printf "| %s | %.1f | %.1f | %s |\n", contender, sum["parent"], sum["child"], text
            }
        ' list="$work/list" "$work/20" "$work/120"
        rm -f "$work/list"
    done
done
