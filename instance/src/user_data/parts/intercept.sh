# Both families are tested before either is set, as `fleetmesh proxy intercept` does. A table that cannot be read ends the
# part: an assignment fails with its command, an argument would not.
intercept_by_iptables() {
  local families=(iptables) family rules nat filter
  [ ! -e /proc/net/if_inet6 ] || families+=(ip6tables)
  declare -A rules
  for family in "${families[@]}"; do
    nat=$(deletions "$family" nat)
    filter=$(deletions "$family" filter)
    rules[$family]=$("${family}_rules" "$nat" "$filter")
    "$family-restore" --noflush -w 5 --test <<<"${rules[$family]}"
  done
  for family in "${families[@]}"; do
    "$family-restore" --noflush -w 5 <<<"${rules[$family]}"
  done
}

intercept() {
  if has iptables-restore; then
    intercept_by_iptables
  else
    nft_rules | nft -f -
  fi
}
