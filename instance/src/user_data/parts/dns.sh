# resolv.conf as this machine had it, for the proxy and what joins; and with our resolver, for the application.
keep_resolvers() {
  local folder=/var/lib/fleetmesh found=/run/systemd/resolve/resolv.conf others
  [ -e "$found" ] || found=/etc/resolv.conf
  install -d --mode=0755 "$folder"
  others=$(sed "/^nameserver $dns_address\$/d" "$found")
  # A file that names nobody but our resolver is our own.
  ! grep -q '^nameserver' <<<"$others" || printf '%s\n' "$others" >"$folder/resolv.conf"
  { sed '/^nameserver/d' "$folder/resolv.conf" && echo "nameserver $dns_address"; } >"$folder/dns.conf"
}

is_resolving() { (exec 3<>"/dev/tcp/$dns_address/53") 2>/dev/null; }

start_dns() {
  docker rm --force fleetmesh-dns >/dev/null 2>&1 || true
  docker run --detach --name fleetmesh-dns --restart unless-stopped --network host --log-driver local \
    --user 0 --cap-drop ALL --cap-add NET_BIND_SERVICE --cap-add SETGID --cap-add SETUID "${dns_options[@]}" \
    "$join_image" proxy dns --listen "$dns_address" --user "$proxy_uid" --ignore-uid "$proxy_uid"
  within 60 is_resolving
}

# In /run: after a boot, names resolve as they did until this has run again.
resolve_by_dns() {
  local folder=/run/systemd
  if [ -e "$folder/resolve/resolv.conf" ]; then
    install -d --mode=0755 "$folder/resolved.conf.d"
    printf '[Resolve]\nDNS=%s\nDomains=~.\nResolveUnicastSingleLabel=yes\n' "$dns_address" \
      >"$folder/resolved.conf.d/fleetmesh.conf"
    systemctl restart systemd-resolved
  else
    cat /var/lib/fleetmesh/dns.conf >/etc/resolv.conf
  fi
}
