#!/bin/sh
# Runs the gateway and, beside it, the puller in one container, since a Railway volume belongs to one service.
#
#     entrypoint.sh COMMAND [ARGUMENT ...]        the command that starts the gateway
#
# The gateway decides over the container: when it ends, everything ends, with its status. The puller decides over nothing: when
# it ends it is started again, after 1, 2, 4 ... PULLER_LONGEST_PAUSE_SECONDS (60), and after 1 again once it ran that long.
# SIGTERM, SIGINT, SIGHUP and SIGQUIT become a SIGTERM to both; what still runs GATEWAY_STOP_SECONDS (10) later is killed.
#
# Both write to this script's standard output and error. No process is left a zombie: whatever loses its parent becomes a child
# of process 1, and this shell, which waits all the time, waits for those as well.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
gateway='' keeper='' timer='' signals=0

main() {
    if [ $# -eq 0 ]; then
        note ERROR "expected the command that starts the gateway as arguments, there is none"
        exit 64
    fi
    if ! command -v "$1" >/dev/null; then
        note ERROR "expected a command that starts the gateway, the first argument is none that can be run"
        exit 127
    fi
    longest=$(whole "${PULLER_LONGEST_PAUSE_SECONDS-}" 60)
    patience=$(whole "${GATEWAY_STOP_SECONDS-}" 10)
    trap 'only_count; pass_on' TERM INT HUP QUIT
    # The key that reads releases is no business of the gateway's, nor of what its agents run.
    (unset PULLER_KEY PULLER_KEY_FILE && exec "$@") &
    gateway=$!
    keep_the_puller &
    keeper=$!
    # A signal that came before there was anybody to pass it on to.
    [ "$signals" -eq 0 ] || pass_on
    await "$gateway"
    status=$?
    kill -TERM "$keeper" 2>/dev/null
    await "$keeper"
    call_off
    note INFO "The gateway ended, and the container with it" ",\"status\":$status"
    exit "$status"
}

# The first signal is obeyed; while that is done another one must not begin it again.
# shellcheck disable=SC2329 # the traps call it
only_count() {
    trap 'signals=$((signals + 1))' TERM INT HUP QUIT
    signals=$((signals + 1))
}

pass_on() {
    [ -n "$gateway" ] && [ -n "$keeper" ] || return 0
    kill -TERM "$gateway" "$keeper" 2>/dev/null
    kill_later "$gateway"
}

# Runs in a shell of its own: whatever happens here, the gateway's shell waits for the gateway alone.
keep_the_puller() {
    child='' ending='' pause=1 signals=0
    trap 'only_count; end_child' TERM INT HUP QUIT
    while [ "$signals" -eq 0 ]; do
        began=$(date +%s)
        run_puller &
        await_child TERM
        status=$?
        [ "$signals" -eq 0 ] || break
        [ $(($(date +%s) - began)) -lt "$longest" ] || pause=1
        note WARNING "The puller ended, and is started again" ",\"status\":$status,\"pause_seconds\":$pause"
        sleep "$pause" &
        await_child KILL
        pause=$((pause * 2))
        [ "$pause" -lt "$longest" ] || pause=$longest
    done
    call_off
}

run_puller() {
    check_volume || exit 78
    # Unpacked when the image was built; --isolated from the image's own packages and from variables that change Python.
    SHIV_ROOT=$here/unpacked
    export SHIV_ROOT
    exec python3 -I -S "$here/skill-sync-puller.pyz"
}

# Without its volume the puller would fill the container's own disk, and everything would be gone with the next deployment.
check_volume() {
    skills=${SKILLS_DIR:-/data/skills}
    skills=${skills%/}
    if [ ! -d "${skills%/*}/" ]; then
        note ERROR "SKILLS_DIR: expected it in a folder of the volume, that folder is not there"
        return 1
    fi
    [ -n "${RAILWAY_SERVICE_ID-}" ] || return 0
    case "$skills/" in
        "${RAILWAY_VOLUME_MOUNT_PATH:-/nowhere}"/*) return 0 ;;
        *) note ERROR "SKILLS_DIR: expected it below RAILWAY_VOLUME_MOUNT_PATH; attach the volume to this service, there" ;;
    esac
    return 1
}

# The argument is the signal that ends the child when this shell is asked to end.
await_child() {
    child=$! ending=$1
    [ "$signals" -eq 0 ] || end_child
    await "$child"
    set -- "$?"
    child=''
    return "$1"
}

end_child() {
    [ -n "$child" ] || return 0
    kill -"$ending" "$child" 2>/dev/null
    kill_later "$child"
}

# Waits for a child, however often a signal interrupts that, and returns its status. 127 is no status once there was another:
# a shell says it of a child that it has told of before.
await() {
    result=127
    while :; do
        before=$signals
        wait "$1"
        told=$?
        [ "$told" -eq 127 ] || result=$told
        [ "$signals" -ne "$before" ] || return "$result"
    done
}

# In steps of a second: whoever calls this off leaves no long sleep behind.
kill_later() {
    [ -z "$timer" ] || return 0
    (
        trap '' TERM INT HUP QUIT
        left=$patience
        while [ "$left" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
            sleep 1
            left=$((left - 1))
        done
        kill -KILL "$1" 2>/dev/null
    ) &
    timer=$!
}

# By a signal that cannot come too early: a shell that was just forked loses those that it has a trap for.
call_off() {
    [ -n "$timer" ] || return 0
    kill -KILL "$timer" 2>/dev/null
    wait "$timer" 2>/dev/null
}

whole() {
    case $1 in
        '' | *[!0-9]*) echo "$2" ;;
        *) echo "$1" ;;
    esac
}

note() {
    printf '{"severity":"%s","message":"%s"%s}\n' "$1" "$2" "${3-}" >&2
}

main "$@"
