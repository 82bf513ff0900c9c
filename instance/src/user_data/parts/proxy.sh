# The application goes first and comes last, so that it never runs without a proxy.
start_proxy() {
  docker rm --force fleetmesh-app fleetmesh-proxy >/dev/null 2>&1 || true
  docker run --detach --name fleetmesh-proxy --restart unless-stopped --network host --log-driver local \
    --user "$proxy_uid" "${proxy_options[@]}" "$proxy_image"
}

is_ready() {
  (
    exec 3<>/dev/tcp/127.0.0.1/9901 &&
      printf 'GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3 &&
      read -r -t 5 _ status _ <&3 && [ "$status" = 200 ]
  ) 2>/dev/null
}

await_proxy() {
  if ! within 300 is_ready; then
    say 'Envoy is not ready: is its control plane within reach? Its last lines:'
    docker logs --tail 20 fleetmesh-proxy
    return 1
  fi
}
