# Prints what this server sees of itself on its consoles: one signed line, again and again.
# For any sh (dash, busybox's, FreeBSD's): no local, no arrays, no awk. The lines above set `token`
# and `user`; what has a default here can be set there also.
: "${consoles:=$(cat /sys/class/tty/console/active 2>/dev/null || echo console) ttyS0 ttyAMA0 hvc0 ttyu0}"
: "${accounts:=/etc/passwd}" "${host_keys:=/etc/ssh /etc/dropbear}" "${rounds:=170}" "${pause:=5}"
set -f
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
export LC_ALL PATH
tab=$(printf '\t')

# The programs for a SHA-256 and for base64: of each the first that knows an answer.
for sha256 in sha256sum 'sha256 -q' 'openssl dgst -sha256 -r' 'shasum -a 256'; do
  case $(printf a | $sha256 2>/dev/null) in ca978112ca1bbdca*48bb*) break ;; esac
done
for decoded in 'base64 -d' 'openssl base64 -d -A' 'b64decode -r'; do
  [ "$(printf YQ== | $decoded 2>/dev/null)" = a ] && break
done

hash_of() {
  printf %s "$1" | $sha256 | cut -c1-64
}

# Lines as one word: at most $1 of them, of characters that mean nothing else.
listed() {
  sed -e 's/[^A-Za-z0-9.:\/%_+@-]//g' -e 's/^\(.\{128\}\).*/\1/' -e "$1q" | tr '\n' ','
}

uptime_seconds() {
  if [ -r /proc/uptime ]; then
    cut -d' ' -f1 /proc/uptime
  else # { sec = 1764500000, usec = 12 } Sun Nov 30 ...
    booted=$(sysctl -n kern.boottime | tr -cd 0-9,)
    echo $(($(date +%s) - ${booted%%,*}))
  fi
}

# ADDRESS/PREFIX%INTERFACE, without loopback and link-local ones and those not usable yet.
addresses() {
  if ip -o link show >/dev/null 2>&1; then
    ip -o addr show | while read -r _ interface family address rest; do
      case "$family $rest" in
        *tentative* | *dadfailed*) ;;
        "inet "* | "inet6 "*) echo "$address%${interface%:}" ;;
      esac
    done
  else
    ifconfig_addresses
  fi | grep -v -E '^(127\.|169\.254\.|::1/|fe80:)|%lo[0-9]*$'
}

# Of ifconfig: FreeBSD's words, those of Linux, and older ones (addr:, Mask:).
ifconfig_addresses() {
  ifconfig -a | while IFS= read -r line; do
    case $line in [!\ $tab]*) interface=${line%%[: ]*} ;; esac
    address='' prefix=''
    set -- $line
    while [ $# -gt 0 ]; do
      case $1 in
        inet | inet6 | addr:) address=$2 ;;
        addr:*) address=${1#addr:} ;;
        netmask | prefixlen) prefix=/$2 ;;
        Mask:*) prefix=/${1#Mask:} ;;
        tentative | duplicated) address='' ;;
      esac
      shift
    done
    [ -z "$address" ] || echo "$address$prefix%$interface"
  done
}

interfaces() {
  if ip -o link show >/dev/null 2>&1; then
    ip -o link show | while read -r _ interface _; do
      interface=${interface%:}
      echo "${interface%@*}"
    done
  else
    ifconfig -a | sed -n "s/^\([^: $tab][^: $tab]*\)[: ].*/\1/p"
  fi | grep -v '^lo[0-9]*$'
}

# GATEWAY%INTERFACE of the default routes.
routes() {
  if ip -o link show >/dev/null 2>&1; then
    { ip route show; ip -6 route show; } | grep '^default' | while read -r _ word rest; do
      [ "$word" != dev ] || rest="on-link dev $rest"
      gateway=${rest%% *} interface=${rest#*dev }
      echo "$gateway%${interface%% *}"
    done
  else # Destination Gateway ... Netif, or Linux' with the interface last
    netstat -rn | while read -r destination gateway _ third rest; do
      case $destination in
        default) echo "$gateway%$third" ;;
        0.0.0.0 | ::/0) echo "$gateway%${rest##* }" ;;
      esac
    done
  fi
}

fingerprint() {
  printf %s "$1" | $decoded 2>/dev/null | $sha256 | cut -c1-64
}

# The keys in a file that let in: not those that only run a command, as cloud-init's for root does.
keys_in() {
  # What is quoted in options goes, since it may have spaces.
  tail -c 65536 "$1" | tr -d '\r' | sed -e 's/\\"//g' -e 's/"[^"]*"//g' |
    while read -r first second third _ || [ -n "$first" ]; do
      case $first in
        ssh-* | ecdsa-* | sk-*) echo "$second" ;;
        '' | '#'* | *[Cc][Oo][Mm][Mm][Aa][Nn][Dd]=* | *[Cc][Ee][Rr][Tt]-[Aa][Uu]*) ;;
        *) case $second in ssh-* | ecdsa-* | sk-*) echo "$third" ;; esac ;;
      esac
    done | tail -n 8 # the newest are last
}

# USER:FINGERPRINT of who may log in.
keys() {
  while IFS=: read -r name _ _ _ _ home shell; do
    [ -z "$user" ] || [ "$name" = "$user" ] || continue
    case $shell in */nologin | */false | */sync | */shutdown | */halt) continue ;; esac
    for file in $key_files; do
      case $file in %h/*) file=$home${file#%h} ;; *%u*) file=${file%%\%u*}$name${file#*%u} ;; esac
      case $file in /*) ;; *) file=$home/$file ;; esac
      [ -f "$file" ] && [ -r "$file" ] || continue
      for key in $(keys_in "$file"); do
        echo "$name:$(fingerprint "$key")"
      done
    done
  done <"$accounts"
}

server_keys() {
  for folder in $host_keys; do
    for kind in ed25519 ecdsa rsa; do
      if [ -r "$folder/ssh_host_${kind}_key.pub" ]; then
        cat "$folder/ssh_host_${kind}_key.pub"
      elif [ -r "$folder/dropbear_${kind}_host_key" ]; then
        dropbearkey -y -f "$folder/dropbear_${kind}_host_key" 2>/dev/null | grep '^[es][csk]'
      fi
    done
  done | while read -r _ key _; do
    fingerprint "$key"
  done
}

# The status is slow to ask for, so not for the first line, and no longer once it is final.
ask_cloud_init() {
  case $cloud_init in
    starting) cloud_init=running ;;
    running)
      said=$(timeout 60 cloud-init status 2>/dev/null | sed -n 's/^status: *//p' | head -n 1 | tr ' ' _)
      cloud_init=${said:-running}
      ;;
  esac
}

report() {
  uptime=$(uptime_seconds)
  : "${began:=${uptime%.*}}"
  ask_cloud_init
  body="seconds=$((${uptime%.*} - began)) uptime=$uptime"
  body="$body interfaces=$(interfaces | listed 16) addresses=$(addresses | listed 16)"
  body="$body routes=$(routes | listed 8) keys=$(keys | listed 24)"
  body="$body hostkeys=$(server_keys | listed 8)"
  body="$body kernel=$(uname -sr | tr ' ' / | listed 1) cloudinit=$(echo "$cloud_init" | listed 1)"
  # The hash of a hash: without the token nothing can be added to a line that was seen.
  signature=$(hash_of "$token:$(hash_of "$token:$body")")
  line="cloudimage-report/1 $body signature=$signature"
}

# Each console has a writer of its own: one that blocks must not silence the others.
say() {
  for console in $(printf '%s\n' $consoles | sort -u); do
    [ ! -c "/dev/$console" ] || { printf '\n%s\n' "$line" >"/dev/$console"; } 2>/dev/null &
  done
}

run() {
  trap '' HUP
  cloud_init=''
  ! command -v cloud-init >/dev/null || cloud_init=starting
  key_files=$(sshd -T 2>/dev/null | sed -n 's/^authorizedkeysfile //p')
  [ -n "$key_files" ] || key_files='.ssh/authorized_keys .ssh/authorized_keys2'
  while [ "$rounds" -gt 0 ]; do
    report
    say
    rounds=$((rounds - 1))
    # In a slow guest all of this takes its time, of which others get as much.
    now=$(uptime_seconds)
    took=$((${now%.*} - ${uptime%.*}))
    # Once it has started, seldom: a console keeps only so much, and others write to it too.
    [ "$((${now%.*} - began))" -lt 300 ] || pause=30
    sleep "$((took > pause ? took : pause))"
  done
}

# In the background and without the caller's output, so that cloud-init can finish.
(exec </dev/null >/dev/null 2>&1 && run) &
