# Unless it may reach the metadata service, the application runs in a group of its own, by which the firewall tells it from
# root, and without what would get it around that: another user or group, raw packets, programs that gain rights.
start_application() {
  local user options=()
  if [ -n "$app_gid" ]; then
    user=$(docker image inspect --format '{{.Config.User}}' "$app_image")
    user=${user%%:*}
    options=(--user "${user:-0}:$app_gid" --cap-drop SETUID --cap-drop SETGID --cap-drop NET_RAW
      --security-opt no-new-privileges)
  fi
  docker run --detach --name fleetmesh-app --restart unless-stopped --network host --log-driver local \
    ${options[@]+"${options[@]}"} ${app_dns[@]+"${app_dns[@]}"} "$app_image"
}
