write_bootstrap() {
  install -d --mode=0755 /var/lib/fleetmesh
  printf '%s' "$bootstrap" >/var/lib/fleetmesh/envoy.yaml
  chmod 0644 /var/lib/fleetmesh/envoy.yaml
}
