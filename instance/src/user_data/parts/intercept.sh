intercept() {
  if has iptables-restore; then
    intercept_by_iptables
  else
    nft_rules | nft -f -
  fi
}
