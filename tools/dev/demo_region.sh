# The region of ./dev demo: namespaces that outlive its daemon, so that the daemon can be killed, and their end.

demo_state=$root/.kiln/demo

# From here on the demo has something to clean up, however it ends.
demo_open() {
  trap 'demo_failed $?' EXIT
  trap 'exit 130' INT TERM HUP
  as_root rm -rf "$demo_state"
  mkdir -p "$demo_state/keys"
  chmod 700 "$demo_state/keys"
  mkfifo "$demo_state/alive"
  # Whoever waits for the end of this pipe goes on as long as this shell lives.
  exec 8<>"$demo_state/alive"
}

demo_start() {
  shown "guests/private-libvirt/run $(short "$demo_state")/host -- cat   # namespaces with a libvirt of their own"
  "$root/guests/private-libvirt/run" "$demo_state/host" -- cat "$demo_state/alive" 8>&- >"$demo_state/host.log" 2>&1 &
  demo_namespaces=$!
  demo_wait "a private libvirt" 30 demo_libvirt_answers
  demo_start_daemon
}

demo_libvirt_answers() {
  kill -0 "$demo_namespaces" 2>/dev/null || { cat "$demo_state/host.log" >&2; die "the private libvirt ended"; }
  [ -e "$demo_state/host/pid" ] &&
    as_root "$root/guests/private-libvirt/enter" "$demo_state/host" -- virsh -q -c qemu:///system uri >/dev/null 2>&1
}

# listen.py opens the socket out here; kilnd inherits it inside the namespaces. Both have to be root in one go, because
# sudo closes inherited sockets.
demo_start_daemon() {
  shown "kilnd --data $(short "$demo_state")"
  : >"$demo_state/ready"
  as_root /usr/bin/python3 "$root/tools/dev/listen.py" "127.0.0.1:$demo_port" -- \
    "$root/guests/private-libvirt/enter" "$demo_state/host" -- "$kiln_bin/kilnd" --data "$demo_state" \
    8>&- >"$demo_state/ready" 2>>"$demo_state/kilnd.log" &
  demo_daemon=$!
  demo_wait "kilnd being ready" 60 demo_daemon_answers
  endpoint=$(sed -n 's/^kiln is ready at //p' "$demo_state/ready")
  demo_port=${endpoint##*:} # the same one after a restart, also when it was picked
  tell "$(cat "$demo_state/ready")"
  [ -r "$demo_state/credentials" ] || as_root chown "$(id -u)" "$demo_state/credentials"
  write_region "$demo_state" "$endpoint" libvirt
  shown "export KILN_DATA=$(short "$demo_state") AWS_SHARED_CREDENTIALS_FILE=$(short "$demo_state")/credentials AWS_DEFAULT_REGION=us-east-1"
  export_region "$demo_state"
}

demo_daemon_answers() {
  kill -0 "$demo_daemon" 2>/dev/null || { tail -n 20 "$demo_state/kilnd.log" >&2; die "kilnd did not start"; }
  grep -q '^kiln is ready at ' "$demo_state/ready"
}

# demo_wait WHAT SECONDS COMMAND...: until COMMAND succeeds.
demo_wait() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ $SECONDS -lt $deadline ] || die "$what: did not happen in time"
    sleep 0.2
  done
}

# Ends the daemon, then the namespaces and with them whatever is left in them.
demo_close() {
  local pid
  trap - EXIT
  if pid=$(kilnd_pid "$demo_state"); then as_root kill -TERM "$pid" || true; fi
  [ -z "${demo_daemon-}" ] || wait "$demo_daemon" 2>/dev/null || true
  exec 8>&-
  [ -z "${demo_namespaces-}" ] || wait "$demo_namespaces" 2>/dev/null || true
  rm -f "$demo_state/region.env"
  [ -n "$demo_keep" ] || as_root rm -rf "$demo_state"
}

demo_failed() {
  warn "the demo failed in '${demo_step-}'"
  if [ -s "$demo_state/kilnd.log" ]; then
    warn "the daemon's log ends with:"
    grep -vE ' audit: .*:(Describe|Get)[A-Za-z]* ok$' "$demo_state/kilnd.log" | tail -n 40 >&2
  fi
  demo_close
  exit "${1:-1}"
}
