# Runs in the guest, as a unit that no image has: it comes as a credential, and writes to the second serial line.
# $1: what follows the first start: `off`, or `upgrade`, which is followed by the rollback.
stage_file=/var/lib/deborch-boot-test/stage
mkdir -p /var/lib/deborch-boot-test
stage=$(cat $stage_file 2>/dev/null || echo boot)
say() { printf '%s %s\n' "$1" "$2"; }
writable() { if touch "$1/.deborch-boot-test" 2>/dev/null; then rm "$1/.deborch-boot-test"; say "$2" writable; else say "$2" read-only; fi; }

say begin "$stage"
say cmdline "$(cat /proc/cmdline)"
ostree admin status 2>&1 | while read -r line; do say status "$line"; done
writable /usr usr
writable /etc etc
writable /var var
say packages "$(dpkg-query -W -f '${db:Status-Status}\n' | grep -c '^installed$')"
systemctl list-units --failed --plain --no-legend | while read -r unit rest; do say failed "$unit"; done

next() { # STAGE: what the next start is; then start again
  echo "$1" >$stage_file
  say end "$stage"
  sync
  systemctl reboot
  exit
}
try() { # WHAT COMMAND...
  what=$1
  shift
  output=$("$@" 2>&1) || { say broken "$what: $(echo "$output" | tail -n 3 | tr '\n' ' ')"; stage=broken; }
}

case $1.$stage in
  upgrade.boot)
    mkdir -p /run/next
    try 'mount of the next commit' mount -o ro LABEL=next /run/next
    try 'ostree remote add' ostree remote add --no-gpg-verify debian file:///run/next/repo
    try 'ostree admin upgrade' ostree admin upgrade
    [ "$stage" = broken ] || next upgraded ;;
  upgrade.upgraded)
    try 'ostree admin set-default' ostree admin set-default 1
    [ "$stage" = broken ] || next rolled-back ;;
esac
say end "$stage"
sync
systemctl poweroff
