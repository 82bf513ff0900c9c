# Keys and sockets are for the proxy's user.
start_join() {
  local folder=/var/lib/fleetmesh
  docker rm --force fleetmesh-join >/dev/null 2>&1 || true
  install -d --mode=0755 "$folder"
  install -d --mode=0700 --owner="$proxy_uid" "$folder/certs" "$folder/run"
  [ -z "$join_authority" ] || printf '%s' "$join_authority" >"$folder/ca.crt"
  touch "$folder/join-began"
  docker run --detach --name fleetmesh-join --restart unless-stopped --network host --log-driver local \
    --user "$proxy_uid" "${join_options[@]}" "$join_image" "${join_arguments[@]}"
}

# A certificate of before a boot may have expired.
has_joined() { [ /var/lib/fleetmesh/certs/sds-certificate.json -nt /var/lib/fleetmesh/join-began ]; }

await_join() {
  if ! within 300 has_joined; then
    say 'no certificate: may the role of this machine run the virtual node? The last lines of fleetmesh proxy join:'
    docker logs --tail 20 fleetmesh-join
    return 1
  fi
}
