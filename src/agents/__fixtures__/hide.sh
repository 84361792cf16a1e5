#!/bin/sh
# An agent that starts processes of every kind that is hard to find and to end. Each has a file of its own ($1.NAME) in its
# arguments, by which a test finds it whatever else it gave up. $2: whether also those that give up their environment.
[ "$1" = chain ] && {
  # Another generation every few milliseconds, each in a session of its own; it ends by itself after some seconds.
  [ "$3" -gt 0 ] && setsid "$0" chain "$2" $(($3 - 1)) >/dev/null 2>&1 </dev/null &
  exit 0
}
trap '' TERM HUP
for name in deaf orphan nohup stopped closed bare barechain; do : >"$1.$name"; done
tail -s 1 -f "$1.deaf" &
(setsid tail -s 1 -f "$1.orphan" >/dev/null 2>&1 </dev/null &)
setsid nohup tail -s 1 -f "$1.nohup" >/dev/null 2>&1 </dev/null &
setsid tail -s 1 -f "$1.stopped" >/dev/null 2>&1 </dev/null &
sleep 0.1
kill -STOP $!
setsid sh -c 'exec 0<&- 1>&- 2>&-; while :; do sleep 1; done' "$1.closed" &
setsid "$0" chain "$1.chain" 3000 >/dev/null 2>&1 </dev/null &
[ "$2" = bare ] && {
  (env -i setsid /usr/bin/tail -s 1 -f "$1.bare" >/dev/null 2>&1 </dev/null &)
  (env -i PATH="$PATH" setsid "$0" chain "$1.barechain" 3000 >/dev/null 2>&1 </dev/null &)
}
sleep 0.1
echo hidden
[ "$3" = flood ] && exec yes 'this line is written again and again without an end'
kill -STOP $$
# The first process of a pid namespace can't be stopped from inside.
while :; do sleep 1; done
