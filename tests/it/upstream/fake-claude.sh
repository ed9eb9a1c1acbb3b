#!/bin/sh
# Plays the claude program (ops/docs/UPSTREAM.md, section 2). What it does is said by the prompt; what it was given goes beside its settings.
prompt=$(cat)
printf '%s\n' "$@" >"$CLAUDE_CONFIG_DIR/arguments"
env | sort >"$CLAUDE_CONFIG_DIR/environment"
printf '%s' "$prompt" >"$CLAUDE_CONFIG_DIR/prompt"
for last; do :; done
cat "$last" >"$CLAUDE_CONFIG_DIR/system"
event() { printf '{"event":%s,"type":"stream_event"}\n' "$1"; }
start() {
  event "{\"type\":\"message_start\",\"message\":{\"id\":\"$1\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}"
  event '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
}
say() { event "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"$1\"}}"; }
stop() {
  event '{"type":"content_block_stop","index":0}'
  event "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"$1\"},\"usage\":{\"output_tokens\":5}}"
  event '{"type":"message_stop"}'
}
result() { printf '{"subtype":"success","is_error":%s,"result":"%s","usage":{"input_tokens":999},"type":"result"}\n' "$1" "$2"; }
printf '{"type":"system","subtype":"init","tools":[]}\n{"type":"brand_new"}\na warning that is no JSON\n'
# A prompt with this word is as if the first guards were gone: neither rules nor escapes hold.
case $prompt in *unescaped*) prompt=$(printf '%s' "$prompt" | sed 's/\xe2\x81\xa0//g') ;; esac
case $prompt in
*report*)
  # Tries each mention, and what else it was given; what came of it is the answer.
  report="core $(ulimit -c)"
  if (cat <&9) >/dev/null 2>&1; then report="$report, 9 open"; else report="$report, 9 closed"; fi
  for word in $prompt; do
    case $word in
    @*)
      path=$(printf '%s' "${word#@}" | sed "s/PARENT/$PPID/")
      if cat "$path" >/dev/null 2>&1 || ls "$path/" >/dev/null 2>&1 || (: >>"$path") 2>/dev/null; then
        report="$report, got ${word#@}"
      fi ;;
    esac
  done
  if [ -p "$CLAUDE_CONFIG_DIR/alive" ]; then printf '%s\n' "$report" >"$CLAUDE_CONFIG_DIR/alive"; fi
  start msg_1; say "$report"; stop end_turn; result false ''
  exit 0 ;;
*linger*)
  # Whoever lives holds this open: its reader learns when nobody does any more.
  exec 8>"$CLAUDE_CONFIG_DIR/alive"
  sleep 600 & setsid sleep 600 &
  printf 'here\n' >&8
  start msg_1; say 'half'
  wait ;;
*alone*)
  echo "$PPID" >"$CLAUDE_CONFIG_DIR/pids"
  start msg_1; say 'half'
  exec sleep 600 ;;
esac
# The program sends the file of a mention to the model, which may quote it.
mentioned=$(printf '%s' "$prompt" | sed -n 's/.*@\(\/[^ ]*\).*/\1/p' | head -n 1)
if [ -n "$mentioned" ]; then
  start msg_1; say "$(cat "$mentioned")"; stop end_turn; result false ''
  exit 0
fi
case $prompt in
*overloaded*)
  printf '{"type":"system","subtype":"api_retry","attempt":1,"error_status":529}\n'
  result true 'API Error: 529 Overloaded'
  exit 1 ;;
*unknown-token*)
  printf '{"type":"assistant","message":{},"error":"authentication_failed"}\n'
  result true 'Failed to authenticate'
  exit 1 ;;
*resend*) start msg_1; say 'void'; start msg_2; say 'Grüße'; stop end_turn; result false '' ;;
*broken*) start msg_1; say 'half'; exit 1 ;;
*refuse*) start msg_1; stop refusal; result false '' ;;
*long-line*) head -c 200000 /dev/zero | tr '\0' x; sleep 600 ;;
*hang*)
  sleep 600 &
  echo "$$ $!" >"$CLAUDE_CONFIG_DIR/pids"
  start msg_1; say 'half'
  wait ;;
*) start msg_1; say 'Hello '; say 'you'; stop end_turn; result false 'Hello you' ;;
esac
