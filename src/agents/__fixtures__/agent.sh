#!/bin/sh
# One small real agent for the runner's tests; $1 says how it behaves. It speaks plain lines.
case "$1" in
  echo) cat ;;
  hang) echo started; exec tail -s 1 -f /dev/null ;;
  polite) trap 'echo goodbye; exit 143' TERM; echo started; while :; do tail -s 1 -f /dev/null & wait $!; done ;;
  deaf) trap '' TERM; echo started; while :; do tail -s 1 -f /dev/null & wait $!; done ;;
  leave) echo started; setsid tail -s 1 -f /dev/null >/dev/null 2>&1 & echo leaving ;;
  slip) env -i setsid tail -s 1 -f /dev/null >/dev/null 2>&1 & echo "slipped $!"; sleep 0.8 ;;
  flood) exec yes 'this line is written again and again without an end' ;;
  deaf-flood) trap '' TERM; while :; do echo 'this line is written again and again without an end'; done ;;
  mutters) i=0; while [ $i -lt 12 ]; do echo "mutter $i" >&2; i=$((i+1)); sleep 0.05; done ;;
  restless) [ -n "$2" ] || echo started; exec "$0" restless again ;;
  crash) echo started; echo 'it broke here' >&2; kill -SEGV $$ ;;
  fail) echo 'no such luck' >&2; exit 3 ;;
  close) echo started; exec 1>&- 2>&-; sleep 0.5; exit 0 ;;
  garbage) echo '{"type":"say","text":"un'; printf '\377\376 not utf-8\n'; exit 0 ;;
  slow) printf 'caf'; sleep 0.1; printf '\303'; sleep 0.1; printf '\251\n'; sleep 0.1; printf 'no line break' ;;
  ticks) i=0; while [ $i -lt 12 ]; do echo "tick $i $(date +%s%N)"; i=$((i+1)); sleep 0.05; done ;;
esac
