has() { command -v "$1" >/dev/null; }

install_firewall() {
  has iptables-restore || has nft || add_package nftables nftables
}

# The rules of other chains that lead to ours, as deletions: setting rules again must not double them.
deletions() {
  "$1-save" | sed -n -e '/^\*nat/,/^COMMIT/ {' \
    -e 's/^-A \(.* -[jg] FLEETMESH_INGRESS\)$/-D \1/p' -e 's/^-A \(.* -[jg] FLEETMESH_EGRESS\)$/-D \1/p' -e '}'
}
